"""The copy of the protocol's messages against the one that Triton's client brings."""

from tritonclient.grpc import service_pb2

from predictor.api.oip.messages import SERVICE, message, methods

NOT_TRITONS = {"properties"}
"""In the standard, and not in Triton's copy of it."""


def test_names_and_numbers_are_those_of_the_standard() -> None:
    theirs = service_pb2.DESCRIPTOR
    service = theirs.services_by_name[SERVICE.split(".")[1]]
    compared = 0
    for name, pair in methods().items():
        method = service.methods_by_name[name]
        assert [each.DESCRIPTOR.full_name for each in pair] == [
            method.input_type.full_name,
            method.output_type.full_name,
        ]
        for ours, other in zip(pair, (method.input_type, method.output_type), strict=True):
            compared += same(ours.DESCRIPTOR, other)
    compared += same(
        message("InferTensorContents").DESCRIPTOR,
        theirs.message_types_by_name["InferTensorContents"],
    )
    assert compared > 30


def same(ours, theirs) -> int:  # type: ignore[no-untyped-def]
    fields = {each.name: each for each in theirs.fields}
    for each in ours.fields:
        if each.name in NOT_TRITONS:
            continue
        other = fields[each.name]
        assert (each.number, each.type, each.label) == (other.number, other.type, other.label)
        if each.message_type is not None and each.message_type.containing_type is ours:
            same(each.message_type, other.message_type)
    return len(ours.fields)
