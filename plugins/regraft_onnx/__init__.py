"""Source models that are ONNX graphs: frozen backbones for feature transfer."""

from regraft import Reference, SourceModel, hookimpl


@hookimpl
def open_source_model(reference: str) -> SourceModel | None:
    from regraft_onnx.opening import open_graph

    parsed = Reference.parse(reference)
    bare = parsed.kind is None and parsed.target.lower().endswith(".onnx")
    return open_graph(reference, parsed) if parsed.kind == "onnx" or bare else None
