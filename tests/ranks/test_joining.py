"""How ranks join and leave: launchers that do not fit, libraries that are missing, hosts that differ, long waits."""

import builtins
import sys
import threading
import time
from types import ModuleType

import pytest
from teams import on_ranks

import nerf_mini.ranks.hosts as hosts
from nerf_mini.cli.program import main
from nerf_mini.errors import UserError
from nerf_mini.ranks import ALONE, joined, require_alike, require_alone
from nerf_mini.ranks.joining import require_no_singletons
from nerf_mini.ranks.mpi import LAUNCHERS, load_mpi
from nerf_mini.ranks.watchdog import Watchdog


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in LAUNCHERS:
        monkeypatch.delenv(name, raising=False)


def test_a_process_on_its_own_needs_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with joined("off", 1.0) as team:
        assert team is ALONE and team.lead(lambda: 3) == 3 and team.collect(5) == [5]


@pytest.mark.parametrize(
    ("name", "launcher"), [("SLURM_NTASKS", "Slurm"), ("PMI_SIZE", "mpiexec"), ("OMPI_COMM_WORLD_SIZE", "mpiexec")]
)
def test_ranks_that_see_no_others_are_refused(monkeypatch, name, launcher):
    monkeypatch.setenv(name, "4")
    with pytest.raises(UserError, match=f"{launcher} says that there are 4 processes"):
        require_no_singletons(1)
    require_no_singletons(4)
    monkeypatch.setenv(name, "1")
    require_no_singletons(1)
    monkeypatch.setenv(name, "many")
    require_no_singletons(1)


def test_several_processes_with_all_shards_each_are_refused(monkeypatch):
    require_alone(4)
    monkeypatch.setenv("PMI_SIZE", "3")
    require_alone(1)  # trainings that know nothing of each other
    with pytest.raises(UserError, match=r"mpiexec has started 3 processes; add --distributed mpi"):
        require_alone(4)


def test_what_is_missing_is_named_with_its_extra(monkeypatch, capsys, blobs, tmp_path):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(UserError, match=r"nerf-mini\[mpi\]"):
        load_mpi()
    real = builtins.__import__

    def without_library(name, *rest):
        if name == "mpi4py":
            raise RuntimeError("cannot load MPI library\nlibmpi.so.12: cannot open shared object file")
        return real(name, *rest)

    monkeypatch.setitem(sys.modules, "mpi4py", ModuleType("mpi4py"))
    monkeypatch.setattr(builtins, "__import__", without_library)
    code = main(["train", str(blobs), "--distributed", "mpi", "--shards", "2", "--output", str(tmp_path / "run")])
    said = capsys.readouterr().err
    assert code == 2 and "no MPI library was found (cannot load MPI library)" in said and "nerf-mini[mpi]" in said
    assert not (tmp_path / "run").exists()


def test_hosts_that_differ_are_named(monkeypatch):
    monkeypatch.setattr(hosts, "compiler_stamp", lambda: "new" if ranks[threading.get_ident()] == 2 else "old")
    ranks = {}

    def told(team, mixed=False):
        ranks[threading.get_ident()] = team.rank
        warnings = []
        hosts.require_alike_hosts(team, mixed, warnings.append)
        return warnings

    errors = on_ranks(3, told)
    assert {str(error) for error in errors} == {str(errors[0])}
    assert "rank 2 on" in str(errors[0]) and "new instead of old" in str(errors[0])
    assert "--mixed-hosts" in str(errors[0])
    for warnings in on_ranks(3, lambda team: told(team, mixed=True)):
        assert len(warnings) == 1 and "rank 2" in warnings[0]

    def versions(team):
        monkeypatch.setattr(hosts, "__version__", f"0.{team.rank}")
        hosts.require_alike_hosts(team, True, print)

    assert all("another nerf-mini" in str(error) for error in on_ranks(2, versions)), "mixed hosts or not"


def test_values_in_messages_are_cut():
    with pytest.raises(UserError) as found:
        raise on_ranks(2, lambda team: require_alike(team, {"name": "x\n" * 500 * (1 + team.rank)}, "Mend it."))[0]
    assert len(str(found.value)) < 400 and "\n" not in str(found.value)


def test_a_watchdog_ends_the_wait_that_lasts_too_long():
    lost = threading.Event()
    watchdog = Watchdog(0.2, lost.set)
    for _ in range(4):
        with watchdog.waiting():
            time.sleep(0.1)  # long together, short each
        time.sleep(0.05)
    assert not lost.is_set()
    time.sleep(0.3)
    assert not lost.is_set(), "who does not wait is not watched"
    with watchdog.waiting():
        assert lost.wait(2.0)


def test_options_that_make_no_sense_are_refused(capsys, blobs, tmp_path):
    for options, text in (
        (["--patience", "0"], "--patience 0"),
        (["--patience", "nan"], "--patience nan"),
        (["--distributed", "mpi", "--view"], "--view does not go with --distributed"),
        (["--shards", "0"], "--shards 0"),
        (["--batch", "0"], "--batch 0"),
    ):
        assert main(["train", str(blobs), "--output", str(tmp_path / "run"), *options]) == 2
        assert text in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
