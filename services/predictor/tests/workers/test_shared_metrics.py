"""Metrics of several processes are those of one; each test needs an interpreter of its own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from predictor.workers.shared_metrics import VARIABLE


def said(script: str) -> list[str]:
    """The lines that a new interpreter prints, where nothing says yet where metrics lie."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={key: value for key, value in os.environ.items() if key != VARIABLE},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_nothing_counts_before_the_program_says_where_metrics_lie() -> None:
    assert said("""
        import sys
        import predictor.__main__
        print("prometheus_client" in sys.modules)
    """) == ["False"]


def test_it_is_an_error_to_say_so_too_late() -> None:
    assert said("""
        import prometheus_client
        from predictor.workers.shared_metrics import are_shared, shared_metrics
        try:
            with shared_metrics():
                pass
        except RuntimeError as error:
            print(error, are_shared())
    """) == ["enter shared_metrics() before prometheus_client is imported False"]


def test_a_process_alone_is_asked_when_its_gauge_is_read() -> None:
    assert said("""
        from prometheus_client import REGISTRY, Gauge
        from predictor.workers.shared_metrics import observe
        now = 1
        observe(Gauge("busy", "Under way."), lambda: now)
        now = 2
        print(REGISTRY.get_sample_value("busy"))
    """) == ["2.0"]


def test_what_two_processes_count_is_one_sum_and_a_gauge_ends_with_its_process() -> None:
    both, one, folder, processes, exists = said("""
        import os
        from predictor.workers import shared_metrics as shared

        with shared.shared_metrics():
            from prometheus_client import Counter, Gauge
            asked = Counter("asked", "Requests.")
            busy = Gauge("busy", "Under way.", multiprocess_mode="livesum")
            shared.observe(busy, lambda: 3)
            asked.inc()
            shared.set_observed()
            pid = os.fork()
            if not pid:
                asked.inc()
                shared.set_observed()
                os._exit(0)
            os.waitpid(pid, 0)

            def read(*pids):
                found = shared.registry_of(lambda: pids)
                names = ("asked_total", "busy")
                return [found.get_sample_value(name) for name in names], found

            print(read()[0])
            shared.forget_process(pid)
            print(read()[0])
            folder = os.environ[shared.VARIABLE]
            print(folder)
            one, two = read(os.getpid())[1], read(os.getpid(), os.getpid())[1]
            sums = "process_resident_memory_bytes"
            lowest = ("process_start_time_seconds", "process_max_fds")
            print(
                two.get_sample_value(sums) > 1.5 * one.get_sample_value(sums),
                *(two.get_sample_value(name) == one.get_sample_value(name) for name in lowest),
            )
        print(os.path.exists(folder))
    """)
    assert (both, one) == ("[2.0, 6.0]", "[2.0, 3.0]")
    assert processes == "True True True"
    assert (exists, Path(folder).exists()) == ("False", False)
