"""Plugins are found by path, module and entry point; what is wrong with one is said in a sentence."""

import subprocess
import sys
from pathlib import Path

import pytest

from simvtp.config.plugins import loading, registry
from simvtp.config.plugins.loading import load_plugin, load_plugins, load_recorded
from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.errors import ConfigError
from tests.simvtp.config.plugins.own import EVALUATOR, OBJECTIVE

pytestmark = pytest.mark.usefixtures("plugins_apart")
NORM = "import simvtp.config.plugins as p\np.register_evaluator('{name}')(lambda gallery: {{}})\n"


def test_a_file_a_package_and_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "by_file.py").write_text(OBJECTIVE)
    package = tmp_path / "by_package"
    package.mkdir()
    (package / "__init__.py").write_text("from by_package import inner\n")
    (package / "inner.py").write_text(EVALUATOR)
    other = tmp_path / "path"
    other.mkdir()
    (other / "by_module.py").write_text(NORM.format(name="other"))
    monkeypatch.syspath_prepend(str(other))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    load_plugins(["by_file.py", "by_package", "by_module", "by_file"])
    assert set(registry.EXTENSIONS) == {"objective.extra", "evaluate.norm", "evaluate.other"}
    assert [Path(plugin.place).name for plugin in loading.loaded()] == ["by_file.py", "by_package", "by_module.py"]
    digest = registry.EXTENSIONS["evaluate.norm"].plugin.digest
    (package / "inner.py").write_text(EVALUATOR.replace("axis=1", "axis=0"))
    assert load_plugin("by_package").digest != digest


def test_an_installed_package_is_loaded_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "installed_norm.py").write_text(EVALUATOR)
    about = tmp_path / "installed_norm-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: installed-norm\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[simvtp.plugins]\nnorm = installed_norm\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    load_plugins([])
    assert set(registry.EXTENSIONS) == {"evaluate.norm"}


def test_a_module_of_a_package_is_loaded_as_a_job_loads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "own_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "scale.py").write_text("ONE = 1\n")
    (package / "own_norm.py").write_text(f"from own_package.scale import ONE\n{EVALUATOR}")
    monkeypatch.syspath_prepend(str(tmp_path))
    load_plugins(["own_package.own_norm"])
    record = override(preset("tiny"), {"evaluate.norm": True}).plugins
    load_recorded(record)
    assert sys.modules["own_norm"].__file__ == str(package / "own_norm.py")
    (package / "own_other.py").write_text(f"from .scale import ONE\n{NORM.format(name='other')}")
    with pytest.raises(ConfigError, match=r"own_other\.py, line 1: ImportError: .*; name the package"):
        load_plugin("own_package.own_other")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def broken(:\n", "no Python that can be read"),
        ("x = 1\ny = x / 0\n", r"mine\.py, line 2: ZeroDivisionError"),
        ("x = 1\n", "registers nothing"),
        (NORM.format(name="segments"), "registers a name that the framework itself has"),
        (NORM.format(name="Own Name"), "a name takes small letters"),
        (OBJECTIVE.replace('("video",)', '("vidoe",)'), "there is no pass 'vidoe'"),
        (OBJECTIVE.replace('setting("its power", 2, within="[1, 9]")', "2"), "declared without `setting`"),
        (OBJECTIVE.replace("@dataclass(frozen=True)", ""), "must be a dataclass"),
        (OBJECTIVE.replace('("video",)', '("video")'), r"its passes are a list, such as passes = \('video',\)"),
        (OBJECTIVE.replace("(PretrainObjective):", ":"), "Extra must be a class that derives from PretrainObjective"),
        (
            OBJECTIVE.replace('register_objective("extra")', "register_objective"),
            r"a decorator with a name does, such as",
        ),
        (EVALUATOR + EVALUATOR.replace("def norm", "def other"), "mine.py registers it twice, as norm and other"),
        (EVALUATOR.replace("(gallery)", "()"), r"evaluator norm: it is called with \(gallery\), and takes \(\)"),
        (OBJECTIVE.replace("(self, head, step)", "(self, step)"), r"called with \(self, head, step\), and takes"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named(tmp_path: Path, source: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(source)
    with pytest.raises(ConfigError, match=message):
        load_plugin(str(path))


def test_an_option_has_the_name_of_its_extension_on_axes(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OBJECTIVE)
    load_plugin(str(tmp_path / "mine.py"))
    axes = {path: field.axis for path, field in registry.FIELDS.items()}
    assert axes == {"objective.extra": "weight of extra", "objective.extra.power": "extra power"}


def test_two_plugins_do_not_share_a_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(EVALUATOR)
    load_plugin(str(tmp_path / "one.py"))
    with pytest.raises(ConfigError, match=r"registers a name that the plugin .*one\.py has"):
        load_plugin(str(tmp_path / "two.py"))


def test_a_name_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--plugin nothing\.py: there is no such file"):
        load_plugin("nothing.py")
    (tmp_path / "list.txt").touch()
    with pytest.raises(ConfigError, match=r"a plugin is a \.py file"):
        load_plugin(str(tmp_path / "list.txt"))


def test_a_recorded_plugin_is_loaded_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.py"
    path.write_text(OBJECTIVE)
    load_plugin(str(path))
    record = override(preset("tiny"), {"objective.extra": 1}).plugins
    digest = registry.EXTENSIONS["objective.extra"].plugin.digest

    def forget() -> None:
        for known in (registry.EXTENSIONS, registry.FIELDS, loading._loaded):
            known.clear()
        sys.modules.pop("mine", None)

    forget()
    load_recorded(record)
    assert override(preset("tiny"), {"objective.extra": 1}).plugins == record
    path.write_text(OBJECTIVE.replace("1e9", "2e9"))
    forget()
    with pytest.raises(ConfigError, match="is not what it was when this run was planned"):
        load_recorded(record)
    monkeypatch.setattr(loading, "COPIES", tmp_path / "plugins")  # as beside the code that a job runs
    copy = tmp_path / "plugins" / digest / "mine.py"
    copy.parent.mkdir(parents=True)
    copy.write_text(OBJECTIVE)
    path.unlink()
    load_recorded(record)
    assert override(preset("tiny"), {"objective.extra": 1}).plugins == record
    copy.unlink()
    forget()
    with pytest.raises(ConfigError, match="is gone"):
        load_recorded(record)


def test_planning_with_a_plugin_loads_no_torch() -> None:
    code = (
        "import sys; from simvtp.config.plugins.loading import load_plugin\n"
        "load_plugin('examples/masked_features.py')\n"
        "from simvtp.config.presets import preset; from simvtp.config.schema import override\n"
        "from simvtp.models.flops import pretrain_gflop\n"
        "base = preset('tiny'); more = override(base, {'objective.features': 1})\n"
        "assert pretrain_gflop(more) > pretrain_gflop(base); print('torch' in sys.modules)"
    )
    root = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("helper", ["helper.py", "helper/__init__.py"])
def test_a_file_that_imports_its_neighbour_is_refused(
    helper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / helper).parent.mkdir(exist_ok=True)
    (tmp_path / helper).write_text("POWER = 2\n")
    (tmp_path / "own_loss.py").write_text(f"import helper\n{OBJECTIVE}")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "helper", raising=False)
    with pytest.raises(ConfigError, match=rf"own_loss\.py: it imports {tmp_path}/helper.*put both into a package"):
        load_plugin(str(tmp_path / "own_loss.py"))
    monkeypatch.delitem(sys.modules, "helper", raising=False)
