"""What a sweep file says, and what is said of one that makes no sense."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nerf_mini.config import from_preset
from nerf_mini.errors import UserError
from nerf_mini.scenes.synthetic import CAPTURES, SCENES
from nerf_mini.sweeps import read_plan

GOOD = """
seeds = [3, 5]
test_views = 4
[scenes.shapes]
size = 64
[scenes.small]
make = "garden"
views = 12
exposure = 0.5
passer_by = true
[scenes.photos]
path = "data/cup"
[settings.quick]
preset = "quick"
max_steps = 600
[settings.levels-12]
levels = 12
"""


@pytest.fixture
def plan(tmp_path):
    def read(text):
        (tmp_path / "data" / "cup").mkdir(parents=True, exist_ok=True)
        file = tmp_path / "plan.toml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_plan(file)

    return read


def test_all_combinations_in_an_order_that_stays(plan, tmp_path):
    found = plan(GOOD)
    assert found.name == "plan" and found.test_views == 4
    assert [str(task) for task in found.tasks][:3] == ["shapes, quick, seed 3", "shapes, levels-12, seed 3",
                                                      "small, quick, seed 3"]  # fmt: skip
    assert [task.number for task in found.tasks] == list(range(12))
    assert len({task.folder for task in found.tasks}) == 12
    assert found.tasks[0].config == from_preset("quick", max_steps=600, seed=3)
    assert found.tasks[-1].config == from_preset(levels=12, seed=5)
    shapes, small, photos = found.sources
    assert shapes.folder == "shapes-size-64" and small.folder == "garden-exposure-0.5-passer_by-true-views-12"
    assert photos.path == tmp_path / "data" / "cup"


def test_lists_of_scenes_and_defaults(plan):
    found = plan('scenes = ["lattice", "data/cup"]')
    assert [source.name for source in found.sources] == ["lattice", "cup"]
    assert found.seeds == (0,) and found.settings == {"default": from_preset()}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scenes = [", "is not valid TOML"),
        (b"\xff\xfe", "is not valid TOML"),
        ("a = " + "[" * 5000, "is not valid TOML"),
        ("seeds = [" + "9" * 5000 + "]", "is not valid TOML"),
        ("x" * (1 << 21), "is larger than 1 MB"),
        ("", "scenes is None"),
        ("scenes = []", "scenes is []"),
        ("scenes = [1]", "it must be a list, such as"),
        ("speed = 1", "unknown key 'speed'; there are seeds"),
        ('scenes = ["nowhere"]', "there is no data set"),
        ('scenes = ["../.."]', "names become folders"),
        ('scenes = ["shapes", "shapes"]', "two scenes are called 'shapes'"),
        ("[scenes]\nshapes = 3", "scenes.shapes is 3; it must be a table"),
        ("[scenes.teapot]", "there is no synthetic scene 'teapot'; there are shapes, blobs"),
        ("[scenes.a]\nmake = 7", "there is no synthetic scene 7"),
        ("[scenes.shapes]\nsize = 100000", "scenes.shapes.size is 100000; it must be a whole number from 8 to 4096"),
        ("[scenes.shapes]\nsize = 64.5", "scenes.shapes.size is 64.5"),
        ("[scenes.shapes]\nviews = 0", "scenes.shapes.views is 0"),
        ("[scenes.shapes]\nviews = true", "scenes.shapes.views is True"),
        ("[scenes.shapes]\nlens = 'fisheye'", "shapes has no option 'lens'; it has size, views, seed"),
        ("[scenes.garden]\npasser_by = 1", "passer_by is 1; it must be of the kind bool"),
        ("[scenes.garden]\nexposure = nan", "exposure is nan"),
        ("[scenes.cup]\npath = 'data/cup'\nsize = 3", "a data set has a path, a text, and no other key"),
        ('[scenes.cup]\npath = "a\\u0000b"', "a data set has a path"),
        ("[scenes.'a/b']\nmake = 'shapes'", "names become folders"),
        ("[scenes.'..']\nmake = 'shapes'", "names become folders"),
        ("scenes = ['shapes']\nseeds = 3", "seeds is 3; it must be a list"),
        ("scenes = ['shapes']\nseeds = [-1]", "seeds is -1; it must be a whole number from 0"),
        ("scenes = ['shapes']\nseeds = [true]", "seeds is True"),
        ("scenes = ['shapes']\nseeds = [1, 1]", "seeds has a number twice"),
        ("scenes = ['shapes']\ntest_views = 0", "test_views is 0"),
        ("scenes = ['shapes']\nsettings = 3", "settings must be tables"),
        ("scenes = ['shapes']\n[settings]\nquick = 3", "settings.quick is 3; it must be a table"),
        ("scenes = ['shapes']\n[settings.q]\npreset = 'fast'", "settings.q: there is no preset 'fast'"),
        ("scenes = ['shapes']\n[settings.q]\npreset = []", "preset is []"),
        ("scenes = ['shapes']\n[settings.q]\nlevel = 3", "settings.q: instant has no setting 'level'. Did you mean"),
        ("scenes = ['shapes']\n[settings.q]\nlevels = 'many'", "settings.q: --levels 'many'"),
        ("scenes = ['shapes']\n[settings.q]\nlevels = [3]", "settings.q: --levels [3]"),
        ("scenes = ['shapes']\n[settings.q]\nlog2_entries = 99", "--log2-entries 99"),
        ("scenes = ['shapes']\n[settings.q]\nwidth = 64", "It is one of nerf"),
        ("scenes = ['shapes']\n[settings.q]\nseed = 3", "the file has a list of its own"),
        ("scenes = ['shapes']\n[settings.q]\nmax_seconds = 3", "give max_steps"),
        ("scenes = ['shapes']\n[settings.q]\nmax_steps = 'none'", "nothing ends this run"),
    ],
)
def test_what_makes_no_sense_is_said_with_file_and_key(plan, text, words):
    with pytest.raises(UserError) as caught:
        plan(text)
    message = str(caught.value)
    assert words in message and "plan.toml: " in message and len(message) < 600


def test_a_file_that_is_not_there_or_a_folder(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            read_plan(path)


def test_too_many_runs_are_refused(plan):
    with pytest.raises(UserError, match="these are 10001 runs; a sweep has at most 10000"):
        plan(f"scenes = ['shapes']\nseeds = {list(range(10001))}")


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_a_plan_or_a_sentence(plan, data):
    text = GOOD.encode()
    at, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    try:
        assert plan(text[:at] + data.draw(st.binary(max_size=4)) + text[end:]).tasks
    except UserError as error:
        assert "plan.toml" in str(error)


def test_the_benchmark_and_the_page_are_plans(plan, tmp_path):
    root = Path(__file__).parents[2]
    found = read_plan(root / "data" / "benchmark.toml")
    assert [source.name for source in found.sources] == [*SCENES, *CAPTURES] and len(found.tasks) == 15
    (text,) = re.findall(r"```toml\n(.*?)```", (root / "docs" / "machines.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "data" / "cup").mkdir(parents=True)
    assert len(plan(text.replace("../photos", "data")).tasks) == 12
