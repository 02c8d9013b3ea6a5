"""What people see while a table is scored."""

import io

from predictor.batch.job import Progress
from predictor.batch.progress import ProgressLine


def test_it_tells_rows_share_rate_and_what_is_left_every_two_seconds() -> None:
    clock, to = [0.0], io.StringIO()
    line = ProgressLine(to, lambda: clock[0])
    line.show(Progress(total=1000, done=10))
    assert to.getvalue() == ""
    clock[0] = 2.0
    line.show(Progress(total=1000, done=500))
    line.show(Progress(total=1000, done=510))
    assert to.getvalue() == "500 of 1,000 rows (50 %), 250/s, 2 s left\n"


def test_an_empty_table_divides_by_nothing() -> None:
    assert ProgressLine(io.StringIO(), lambda: 0.0).text(Progress(total=0)).startswith("0 of 0")
