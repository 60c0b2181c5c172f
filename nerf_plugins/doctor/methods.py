"""What this package adds to nerfstudio, by its installed entry points."""

import importlib.metadata

from nerf_plugins.doctor.findings import Finding

GROUPS = {"methods": "nerfstudio.method_configs", "dataparsers": "nerfstudio.dataparser_configs"}
"""What nerfstudio looks for, and under which entry points."""


def installed(what: str) -> list[str]:
    """The names of this package's entry points in a group of :data:`GROUPS`."""
    points = importlib.metadata.entry_points(group=GROUPS[what])
    return sorted(point.name for point in points if point.module.partition(".")[0] == "nerf_plugins")


def probe_nerfstudio(name: str) -> Finding:
    """Nerfstudio as its commands start it, and whether it finds our methods and dataparsers."""
    from nerfstudio.configs.dataparser_configs import all_dataparsers
    from nerfstudio.configs.method_configs import all_methods

    version = importlib.metadata.version("nerfstudio")
    advice = "install the package into this environment: pip install -e ."
    ours = {what: installed(what) for what in GROUPS}
    for what, names in ours.items():
        if not names:
            return Finding(name, "broken", f"{version}, but none of our {what} is installed", advice)
    unknown = [x for x in ours["methods"] if x not in all_methods]
    unknown += [x for x in ours["dataparsers"] if x not in all_dataparsers]
    if unknown:
        return Finding(name, "broken", f"{version}, does not know {', '.join(unknown)}", advice)
    return Finding(name, "ok", f"{version}, knows our {' and '.join(f'{len(n)} {what}' for what, n in ours.items())}")
