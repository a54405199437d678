"""From a reference to a source model: which input and which output of a graph are meant."""

from pathlib import Path

from regraft import InvalidInputError, PixelOptions, Reference, SourceModel
from regraft_onnx.graph import Graph, Layout, Value
from regraft_onnx.image import ImageGraph
from regraft_onnx.text import TextGraph

TEXT = {"input_ids", "attention_mask", "token_type_ids"}
TEXT_OPSET = 13
HINT = "Name the feature: onnx:FILE#OUTPUT, where any inner value of the graph will do too."


def open_graph(reference: str, parsed: Reference) -> SourceModel:
    """A graph with one image input, or with the inputs of a text encoder. InvalidInputError lists
    what it has instead."""
    path = Path(parsed.target).expanduser()
    if not path.is_file():
        raise InvalidInputError(f"'{reference}': there is no file {path}.")
    graph = Graph.read(path)
    names = {value.name for value in graph.inputs}
    if "input_ids" in names and names <= TEXT:
        if parsed.options:
            raise InvalidInputError(f"'{reference}': a graph of text takes no options.")
        graph.need_opset(path, TEXT_OPSET)
        return TextGraph(reference, graph, path, chosen_output(reference, graph, parsed.part))
    layout = Layout.of(graph.inputs)
    if layout is None:
        raise InvalidInputError(
            f"{path} cannot be used: one image [batch, 3, height, width] or [batch, height, width, "
            f"3], or {', '.join(sorted(TEXT))} are expected, but its inputs are: "
            f"{listed(graph.inputs)}."
        )
    output = chosen_output(reference, graph, parsed.part)
    return ImageGraph(reference, graph, layout, output, parsed.read(PixelOptions))


def chosen_output(reference: str, graph: Graph, part: str | None) -> str:
    """The value that `#part` names; else what a last classifier gets, else the only output."""
    if part is not None:
        if part not in graph.value_names:
            raise InvalidInputError(
                f"'{reference}': the graph has no value '{part}'. Its outputs: "
                f"{listed(graph.outputs)}. {HINT}"
            )
        return part
    if len(graph.outputs) > 1:
        raise InvalidInputError(
            f"'{reference}': the graph has several outputs: {listed(graph.outputs)}. {HINT}"
        )
    return graph.before_classifier() or graph.outputs[0].name


def listed(values: list[Value]) -> str:
    return "; ".join(str(value) for value in values) or "none"
