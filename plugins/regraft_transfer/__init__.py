"""Transfer strategies, one file each."""

from regraft import TransferStrategy, hookimpl


@hookimpl
def register_strategies() -> list[type[TransferStrategy]]:
    from regraft_transfer.as_is import AsIs
    from regraft_transfer.full import Full
    from regraft_transfer.linear_probe import LinearProbe
    from regraft_transfer.lp_ft import ProbeFirst

    return [AsIs, LinearProbe, Full, ProbeFirst]
