"""Plugins are found and imported: by `--plugin`, by entry points, or as a config from disk names them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Collection, Iterable
from pathlib import Path

from simvtp.config.code_version import ROOT
from simvtp.config.plugins.registry import EXTENSIONS
from simvtp.config.plugins.source import Plugin, parse_record
from simvtp.errors import ConfigError
from simvtp.runtime.files import expanded

GROUP = "simvtp.plugins"  # of entry points
OWN = ("simvtp", "sweeps", "analysis")  # packages of this project
COPIES = ROOT / "plugins"  # beside the copy of the code that a job runs: DIGEST/NAME.py

_loaded: dict[str, Plugin] = {}  # place -> plugin


def loaded() -> list[Plugin]:
    """The plugins that were loaded in this process."""
    return list(_loaded.values())


def load_plugins(names: Iterable[str]) -> None:
    """Load those of entry points, then those that `--plugin` names; raises ConfigError, as `load_plugin`."""
    import importlib.metadata  # a tenth of --help

    for entry in importlib.metadata.entry_points(group=GROUP):
        load_plugin(entry.module)
    for name in names:
        load_plugin(name)


def load_plugin(name: str) -> Plugin:
    """Import a plugin, once. name: a .py file, the folder of a package, or the name of a module.

    Raises ConfigError where there is none, it raises an error, or registers nothing.
    """
    path, module = _find(name)
    return _load(path, path, module)


def load_recorded(record: str) -> None:
    """Load the plugins that a config from disk names (its field `plugins`), each as it was then.

    Taken is the copy beside the code of this job, else the file at its place. Raises ConfigError where it is gone, or
    not what its digest says.
    """
    for key, entry in parse_record(record).items():
        if key in EXTENSIONS and EXTENSIONS[key].plugin.digest == entry.digest:
            continue
        place = Path(entry.place)
        copy = COPIES / entry.digest / place.name
        path = copy if copy.exists() else place
        if not path.exists():
            raise ConfigError(f"{key}: its plugin {place} is gone; put it back there, or give it by --plugin")
        plugin = Plugin.of(path)
        if plugin.digest != entry.digest:
            raise ConfigError(
                f"{key}: the plugin {place} is not what it was when this run was planned (digest {plugin.digest}, not "
                f"{entry.digest}); give the sweep's command again, which plans a run of its own for the new one"
            )
        _load(path, place, None)


def _load(path: Path, place: Path, module: str | None) -> Plugin:
    """path: what is imported; place: the plugin's own; module: its name, None: as its file is called."""
    read = Plugin.of(path)
    plugin = Plugin(str(place.absolute()), read.digest, read.sources)
    if _loaded.get(plugin.place) == plugin:
        return plugin
    known = set(sys.modules)
    try:
        with plugin.loading():
            _import(path / "__init__.py" if path.is_dir() else path, module or path.stem, by_name=module is not None)
        _refuse_neighbours(path, known)
    except ConfigError:
        raise
    except Exception as error:  # a user's module may raise anything
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(path))]
        where = f", line {frames[-1].lineno}" if frames else ""
        hint = "; name the package that it is part of" if "attempted relative import" in str(error) else ""
        raise ConfigError(f"plugin {place}{where}: {type(error).__name__}: {error}{hint}") from error
    if not any(extension.plugin == plugin for extension in EXTENSIONS.values()):
        raise ConfigError(
            f"plugin {place}: it registers nothing; a decorator with a name does, such as "
            '@register_evaluator("NAME") (docs/extend.md)'
        )
    _loaded[plugin.place] = plugin
    return plugin


def _refuse_neighbours(path: Path, known: Collection[str]) -> None:
    """Raise ConfigError if a plugin imported a module beside it: no digest notices its edits, and a job has no copy.

    known: modules that were imported before. Libraries that are installed beside an installed plugin are none.
    """
    if "site-packages" in path.parts:
        return
    for name in sorted(sys.modules.keys() - known - set(OWN)):
        file = Path(getattr(sys.modules[name], "__file__", None) or "/")
        place = file.parent if file.name == "__init__.py" else file
        if "." not in name and place.parent == path.parent and place != path:
            raise ConfigError(
                f"plugin {path}: it imports {place}, which is not part of it: edits there would change results under "
                "the same id; put both into a package, and name that"
            )


def _import(file: Path, name: str, *, by_name: bool) -> None:
    """Execute a module, also one that was imported before. by_name: Python finds it by its name."""
    known = getattr(sys.modules.get(name), "__file__", None)
    if name in sys.modules and known != str(file):
        raise ConfigError(f"plugin {file}: another module is called {name}; give the plugin another name")
    for module in [module for module in sys.modules if f"{module}.".startswith(f"{name}.")]:
        del sys.modules[module]
    if by_name:
        importlib.import_module(name)
        return
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    made = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(made)
    except BaseException:
        del sys.modules[name]
        raise


def _find(name: str) -> tuple[Path, str | None]:
    """The file or folder of a plugin, and its name where it is imported as a module.

    What is part of a package is imported by its file, as a job does, which has a copy of the plugin and nothing else.
    """
    path = expanded(name)
    for candidate in (path, path.with_name(f"{path.name}.py")):
        if candidate.is_dir() and (candidate / "__init__.py").is_file():
            return candidate.absolute(), None
        if candidate.is_file():
            if candidate.suffix != ".py":
                raise ConfigError(f"--plugin {name}: a plugin is a .py file, a package or the name of a module")
            return candidate.absolute(), None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        raise ConfigError(f"--plugin {name}: there is no such file (looked for in {Path.cwd()}), and no such module")
    origin = Path(spec.origin)
    return origin.parent if origin.name == "__init__.py" else origin, None if "." in name else name
