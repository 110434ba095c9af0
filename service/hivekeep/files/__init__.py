"""Opens and changes files without being led elsewhere between the check and the use.

A path is a question that anybody who can write to a folder may answer anew at every moment; a
descriptor is an answer.  So places are opened once, without following links, and everything after
that is done relative to the descriptor.  What may be opened is not decided here.
"""

from hivekeep.files.folder import Folder, Identity
from hivekeep.files.names import NameProblem, check_name, fold, name_problem
from hivekeep.files.opening import MovedError, open_file, open_place, write_all

__all__ = [
    "Folder",
    "Identity",
    "MovedError",
    "NameProblem",
    "check_name",
    "fold",
    "name_problem",
    "open_file",
    "open_place",
    "write_all",
]
