import os
from uuid import UUID

import pytest

from predictor.serving.ids import AT_ONCE, new_id


def test_ids_are_random_uuids_of_version_4_and_all_different() -> None:
    ids = [new_id() for _ in range(3 * AT_ONCE)]
    assert len(set(ids)) == len(ids)
    for each in ids:
        parsed = UUID(each)
        assert str(parsed) == each
        assert (parsed.version, parsed.variant) == (4, UUID(int=0, version=4).variant)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_ids_of_its_own() -> None:
    new_id()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, new_id().encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        theirs = pipe.read()
    os.waitpid(child, 0)
    assert UUID(theirs).version == 4
    assert theirs not in {new_id() for _ in range(AT_ONCE)}
