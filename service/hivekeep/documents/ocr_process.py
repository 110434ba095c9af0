"""The process that finds text in pictures, with models that are already on this machine.

Responsible for one recogniser and its answers; not for decoding image files, which reader processes
do.  Invariant: it has no network and writes no file, and the inference library's telemetry is
switched off before it is loaded.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from hivekeep.documents.transport import PeerGoneError, receive_frame_blocking
from hivekeep.documents.wire import (
    Pixels,
    Recognized,
    TextLine,
    WireError,
    decode_pixels,
    encode_recognized,
)
from hivekeep.sandbox import Confinement, confine, limits, paths
from hivekeep.sandbox.confine import leave_network

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MEMORY = 6 * 1024**3
_MOST_THREADS = 4


def recognize(engine: Any, pixels: Pixels) -> Recognized:
    """What ``engine`` (a ``RapidOCR``) finds in the picture."""
    found = engine(_array(pixels))
    if found.boxes is None or found.txts is None:
        return Recognized()
    return Recognized(
        tuple(
            TextLine(
                text.encode("utf-8", "replace").decode(),
                min(max(float(score), 0.0), 1.0),
                tuple((float(x), float(y)) for x, y in box),
            )
            for text, score, box in zip(found.txts, found.scores, found.boxes, strict=True)
        )
    )


def _array(pixels: Pixels) -> NDArray[np.uint8]:
    """Rows of blue, green and red, which is what the models were trained on."""
    import numpy as np

    shape = (pixels.height, pixels.width, pixels.channels)
    rows = np.frombuffer(pixels.data, dtype=np.uint8).reshape(shape)
    if pixels.channels == 1:
        return np.repeat(rows, 3, axis=2)
    return np.ascontiguousarray(rows[:, :, ::-1])


def load_engine() -> Any:
    """The recogniser; its models come with its package and nothing is fetched."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    from rapidocr import RapidOCR
    from rapidocr.inference_engine.onnxruntime.main import OrtInferSession

    # Threads that spin while they wait take the processor from the language model; measured beside
    # one: 3.4 instead of 4.4 processor seconds a page. There is no setting for it.
    usual_options = OrtInferSession._init_sess_opts

    def options_without_spinning(settings: Any) -> Any:
        options = usual_options(settings)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options

    setattr(OrtInferSession, "_init_sess_opts", staticmethod(options_without_spinning))  # noqa: B010
    threads = min(os.cpu_count() or 1, _MOST_THREADS)
    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def main() -> None:
    """Run as ``python -m hivekeep.documents.ocr_process PARENT_PID IDLE_SECONDS [REQUIRED…]``."""
    limits.die_with_parent(int(sys.argv[1]))
    leave_network()
    keep = Confinement(read=paths.worker(), threads=True, memory=_MEMORY, cpu_seconds=1 << 30)
    # Before the inference library makes its threads, which would otherwise stay unconfined.
    confine(keep, required=tuple(sys.argv[3:]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=os.dup(0))
    engine = load_engine()
    limits.forbid_side_effects()
    while select.select([connection], [], [], float(sys.argv[2]))[0]:
        try:
            _, payload = receive_frame_blocking(connection)
        except (PeerGoneError, WireError, OSError):
            return
        connection.sendall(encode_recognized(recognize(engine, decode_pixels(payload))))


if __name__ == "__main__":
    main()
