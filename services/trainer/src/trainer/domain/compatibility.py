"""Whether callers of the version before can go on as they are."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from trainer.domain.gates import Gate


@dataclass(frozen=True, slots=True)
class RequestInput:
    """An input that callers send."""

    name: str
    kind: str
    """`number` or `category`."""
    required: bool


def compatibility(
    before: Sequence[RequestInput], after: Sequence[RequestInput], retired: Collection[str]
) -> Gate | None:
    """Judge what has changed; None: nothing has that callers could notice.

    Args:
        before: Inputs of the version that serves.
        after: Inputs of the new one.
        retired: Inputs of which the model says until when callers may send them.
    """
    problems = list(_problems(before, after, retired))
    if problems:
        return Gate("inputs", float(len(problems)), 0.0, "failed", "; ".join(problems))
    names = {each.name for each in after}
    if gone := sorted(each.name for each in before if each.name not in names):
        reason = f"{', '.join(gone)} is no longer taken; serving.retired_inputs says until when it"
        return Gate("inputs", 0.0, 0.0, "passed", f"{reason} may still be sent")
    return None


def _problems(
    before: Sequence[RequestInput], after: Sequence[RequestInput], retired: Collection[str]
) -> Iterator[str]:
    known = {each.name: each for each in before}
    now = {each.name: each for each in after}
    for name in known:
        if name not in now and name not in retired:
            yield (
                f"input {name} is gone, and callers still send it: keep it, or say in"
                " serving.retired_inputs until when it is to be ignored"
            )
    for name, each in now.items():
        was = known.get(name)
        if was is not None and was.kind == "category" and each.kind == "number":
            yield (
                f"input {name} was a category and is a number, and callers still send text: give"
                " the new one another name"
            )
        if each.required and (was is None or not was.required):
            yield (
                f"input {name} is required, and callers need not send it so far: give it"
                " required: false and a default"
            )
