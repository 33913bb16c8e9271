"""For how long each channel of the file collects a batch, which decides when a notification is sent next."""

from collections.abc import Mapping
from pathlib import Path

from vigilbase.files import DEFAULT_CONFIG


def load_group_windows(config: Path = DEFAULT_CONFIG) -> Mapping[str, float] | None:
    """Seconds by channel; None if the default file can't be read.

    Raises:
        ConfigurationError: another file can't be read.

    """
    # Imported here, because most of the commands that list something need no file.
    from vigilbase.channels import CHANNELS  # noqa: PLC0415
    from vigilbase.configfile.outline import load_channels, load_optional  # noqa: PLC0415

    loaded = load_optional(load_channels, config)
    if loaded is None:
        return None
    return {
        name: loaded.group_window_s if CHANNELS[channel.kind].can_batch else 0.0
        for name, channel in loaded.channels.items()
    }
