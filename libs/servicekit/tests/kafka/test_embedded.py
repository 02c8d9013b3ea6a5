"""Each producer of a slot gets a transactional id that none had before."""

from typing import Any

import pytest

from local.broker import embedded_broker
from servicekit.bus import Record
from servicekit.errors import TransactionAbortedError
from servicekit.kafka import EmbeddedKafkaBus, KafkaBus, bus_from
from servicekit.settings import ServiceSettings


def test_the_setting_chooses_the_bus() -> None:
    assert type(bus_from(ServiceSettings())) is KafkaBus
    assert type(bus_from(ServiceSettings(kafka_broker_kind="embedded"))) is EmbeddedKafkaBus


@pytest.mark.integration
def test_a_new_session_and_an_abort_each_take_the_next_id(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids: list[str] = []
    with embedded_broker(tmp_path) as bootstrap:
        bus = EmbeddedKafkaBus(bootstrap)
        connect = bus.session_type._connect_producer

        def note(self: Any, transactional_id: str) -> Any:
            ids.append(transactional_id)
            return connect(self, transactional_id)

        monkeypatch.setattr(bus.session_type, "_connect_producer", note)
        for _ in range(2):
            session = bus.transactional(service="s", topics=["t"])
            session.open()
        assert ids == ["s-0", "s-0.1", "s-0.1", "s-0.2"], "the last one is fenced first"
        with pytest.raises(TransactionAbortedError):
            session.commit([Record("t", b"k", b"x" * 3_000_000)], {})
        assert ids[4:] == ["s-0.2", "s-0.3"]
        session.commit([Record("t", b"k", b"v")], {})
        session.close()
