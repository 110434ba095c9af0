"""Measurements of Hivekeep, each a module run as ``make bench NAME=…``."""
