"""The catalogue's row of the source model that knows nothing."""

from regraft import SourceDescriptor

PLAIN = SourceDescriptor(
    name="plain-table",
    modality="table",
    licence="Apache-2.0",
    origin="regraft itself: there is nothing pretrained in it",
    summary="The columns themselves, standardised: what a table without a source model uses",
)
