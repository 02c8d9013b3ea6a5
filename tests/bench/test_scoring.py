"""What `bench-scoring` makes of its samples."""

import os
from pathlib import Path

import pytest
from bench.scoring import __main__ as scoring


def sample(seconds: float, peak_mb: float) -> scoring.Sample:
    return {"seconds": seconds, "cpu_seconds": seconds, "peak_mb": peak_mb}


def test_the_memory_of_a_process_is_the_most_that_it_had(tmp_path: Path) -> None:
    words = ["-c", "held = b'x' * (200 << 20); del held; import time; time.sleep(0.3)"]
    found = scoring._run(words, tmp_path, dict(os.environ))
    assert 200 <= found["peak_mb"] < 300
    assert found["seconds"] >= 0.3


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no such table"):
        scoring._run(["-c", "raise ValueError('no such table')"], tmp_path, dict(os.environ))


@pytest.mark.parametrize(("peak_mb", "met"), [(110.0, True), (111.0, False)])
def test_memory_that_grows_with_the_rows_is_told(peak_mb: float, met: bool) -> None:
    samples = {
        (key, rows): [sample(seconds, 100.0 if rows == 10 else peak_mb)]
        for key in scoring.WAYS
        for rows, seconds in ((10, 2.0), (40, 5.0))
    }
    data = scoring._result(samples, (10, 40), 1)
    assert [bar["met"] for bar in data["bars"]] == [met, met]
    page = scoring._page(data)
    assert "| 40 rows | s |" in page
    # Three seconds for thirty rows more.
    assert "| ONNX Runtime alone | 5.0 | 8 | 100000.0 | 1.0 |" in page
