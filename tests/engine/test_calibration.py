"""What is chosen from measurements, and when they still count."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from hivekeep.domain.errors import EngineError
from hivekeep.engine.calibration import Calibrations, Rates, choose
from hivekeep.engine.hardware import Limits, limits_measured_apart, measure_limits
from hivekeep.engine.settings import default_tuning

RATES = Rates(
    threads={1: (50, 20), 2: (95, 30), 4: (96, 29)},
    chunks={32: 70, 64: 90, 128: 95, 256: 96},
    slots={1: 30, 2: 40, 4: 47, 8: 52, 16: 53},
    mixed={32: 60, 64: 75, 128: 76},
)


def test_the_smallest_that_comes_close_is_chosen() -> None:
    tuning = choose(RATES)
    assert (tuning.threads, tuning.slots, tuning.chunk, tuning.chunk_alone) == (2, 8, 64, 128)


@pytest.mark.model
def test_a_measurement_is_kept_for_these_weights_on_this_machine(
    small_model: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "model.gguf"
    os.link(small_model, copy) if small_model.stat().st_dev == tmp_path.stat().st_dev else (
        copy.write_bytes(small_model.read_bytes())
    )
    calibrations = Calibrations(tmp_path / "kept", busy=lambda: 0.1)
    assert calibrations.known("m", copy) is None
    assert anyio.run(calibrations.tuning, "m", copy) == default_tuning()
    busy = Calibrations(tmp_path / "kept", busy=lambda: 0.9)
    assert not busy.measure("m", copy).kept
    assert calibrations.known("m", copy) is None
    rates = calibrations.measure("m", copy).rates
    assert all(rate > 0 for rate in (*rates.chunks.values(), *rates.slots.values()))
    assert calibrations.known("m", copy) == rates
    assert anyio.run(calibrations.tuning, "m", copy) == choose(rates)
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGUF")
    assert calibrations.known("m", other) is None
    with pytest.raises(EngineError):
        calibrations.measure("m", other)


@pytest.mark.parametrize("measure", [measure_limits, limits_measured_apart])
def test_the_hardwares_limits_are_finite_and_positive(measure: Callable[[int], Limits]) -> None:
    limits = measure(1)
    assert limits.bandwidth > 1e8
    assert limits.flops > 1e8
    assert limits.decode(10**9) == limits.bandwidth / 1e9
