"""What waits for a commit is called by whoever commits, and at once where nobody does."""

from servicekit.telemetry.committed import Callback, collecting, when_committed


def test_outside_of_a_transaction_the_function_is_called_at_once() -> None:
    counted: list[int] = []
    when_committed(counted.append, 1)
    assert counted == [1]


def test_inside_of_one_it_is_called_with_its_arguments_by_whoever_commits() -> None:
    counted: list[int] = []
    callbacks: list[Callback] = []
    with collecting(callbacks):
        when_committed(counted.append, 1)
        when_committed(counted.extend, [2, 3])
    assert counted == []
    for callback in callbacks:
        callback()
    assert counted == [1, 2, 3]
