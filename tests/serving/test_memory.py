"""Backbones that nobody asks for are put away, and are back when somebody does."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from regraft.serving.batcher import Batcher
from regraft.serving.memory import BackboneMemory
from regraft.serving.predictor import Backbone
from regraft.serving.sessions import Runtime
from regraft.serving.telemetry import Silent
from regraft.serving.waiting import Limits

MEBIBYTE = 2**20


def graph(path: Path, side: int) -> Path:
    """A product with a square matrix of so many columns."""
    weight = np.random.default_rng(0).normal(size=(side, side)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["b", side]) for n in "xy"]
    made = helper.make_graph(nodes, "g", ends[:1], ends[1:], [numpy_helper.from_array(weight, "w")])
    opset = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(made, opset_imports=opset, ir_version=10), str(path))
    return path


def backbones(folder: Path, count: int) -> list[Backbone]:
    return [Backbone(graph(folder / f"{n}.onnx", 8), Runtime()) for n in range(count)]


def predictor(backbone: Backbone) -> Any:
    task = SimpleNamespace(
        size=lambda row: 1,
        largest_batch=10**9,
        pads=True,
        encode=lambda rows: {"x": np.ones((len(rows), 8), np.float32)},
        decode=lambda outputs: {"y": outputs},
    )
    shared = {
        "group": backbone.name,
        "task": task,
        "encoder": task,
        "head": lambda found: found,
        "watch": None,
    }
    return SimpleNamespace(name="m", version=1, backbone=backbone, **shared)


def run(scenario: Any, known: list[Backbone], limit: int | None) -> Any:
    async def main() -> Any:
        memory = BackboneMemory(lambda: known, limit)
        with ThreadPoolExecutor(1) as worker:
            return await scenario(memory, Batcher(worker, Limits(), Silent(), memory))

    return asyncio.run(main())


def test_what_was_used_least_recently_goes_and_comes_back_when_asked_for(tmp_path: Path) -> None:
    known = backbones(tmp_path, 3)

    async def scenario(memory: BackboneMemory, batcher: Batcher) -> None:
        first = await batcher.predict(predictor(known[0]), ["a"])
        await memory.make_room()
        assert [one.loaded for one in known] == [True, False, True]
        await batcher.predict(predictor(known[1]), ["a"])
        assert [one.loaded for one in known] == [True, True, False]
        await batcher.predict(predictor(known[2]), ["a"])
        assert [one.loaded for one in known] == [False, True, True]
        again = await batcher.predict(predictor(known[0]), ["a"])
        np.testing.assert_array_equal(again["y"], first["y"])

    run(scenario, known, 2 * known[0].size)


def test_nothing_is_put_away_without_a_limit(tmp_path: Path) -> None:
    known = backbones(tmp_path, 3)
    run(lambda memory, batcher: memory.make_room(10**12), known, None)
    assert all(one.loaded for one in known)


def test_what_is_in_use_stays_and_is_fetched_once_for_all(tmp_path: Path) -> None:
    known, loads = backbones(tmp_path, 2), []
    gate = threading.Event()
    load, run_graph = known[1].load, known[0].features

    def counted() -> Any:
        loads.append(threading.current_thread())
        return load()

    def slow(batch: Any) -> Any:
        assert gate.wait(10)
        return run_graph(batch)

    known[1].load = counted  # type: ignore[method-assign]
    known[0].features = slow  # type: ignore[method-assign]

    async def scenario(memory: BackboneMemory, batcher: Batcher) -> None:
        known[1].unload()
        busy = asyncio.create_task(batcher.predict(predictor(known[0]), ["a"]))
        await asyncio.sleep(0.02)
        asked = [asyncio.create_task(batcher.predict(predictor(known[1]), ["a"])) for _ in range(5)]
        await asyncio.sleep(0.1)
        assert [one.loaded for one in known] == [True, True]
        gate.set()
        await asyncio.gather(busy, *asked)

    run(scenario, known, known[0].size)
    assert len(loads) == 1
    assert loads[0] is not threading.main_thread()


def test_what_was_in_use_beyond_the_limit_goes_when_it_is_not_any_more(tmp_path: Path) -> None:
    known = backbones(tmp_path, 3)

    async def scenario(memory: BackboneMemory, batcher: Batcher) -> None:
        for one in known:
            one.unload()
        await asyncio.gather(*(batcher.predict(predictor(one), ["a"]) for one in known))
        await asyncio.sleep(0.1)
        assert [one.users for one in known] == [0, 0, 0]
        assert sum(one.loaded for one in known) == 1
        assert not memory.crowded

    run(scenario, known, known[0].size)


def test_one_that_is_larger_than_the_limit_is_not_fetched_for_each_request(tmp_path: Path) -> None:
    known, loads = backbones(tmp_path, 1), []
    load = known[0].load
    known[0].load = lambda: (loads.append(1), load())[1]  # type: ignore[method-assign]

    async def scenario(memory: BackboneMemory, batcher: Batcher) -> None:
        await memory.make_room()
        for _ in range(3):
            await batcher.predict(predictor(known[0]), ["a"])
            await asyncio.sleep(0.02)
        assert len(loads) == 1

    run(scenario, known, known[0].size - 1)


def test_clients_that_leave_start_no_other_load_and_free_nothing_that_is_computed(
    tmp_path: Path,
) -> None:
    known, loads = backbones(tmp_path, 2), []
    gate, load, run_graph = threading.Event(), known[0].load, known[0].features

    def slow_load() -> Any:
        loads.append(1)
        assert gate.wait(10)
        return load()

    def slow_run(batch: Any) -> Any:
        assert gate.wait(10)
        return run_graph(batch)

    async def scenario(memory: BackboneMemory, batcher: Batcher) -> None:
        known[0].unload()
        known[0].load = slow_load  # type: ignore[method-assign]
        for _ in range(3):
            asked = asyncio.create_task(batcher.predict(predictor(known[0]), ["a"]))
            await asyncio.sleep(0.02)
            asked.cancel()
        last = asyncio.create_task(batcher.predict(predictor(known[0]), ["a"]))
        await asyncio.sleep(0.02)
        gate.set()
        await last
        assert len(loads) == 1
        assert batcher.coming == 0
        gate.clear()
        batcher.calm = False  # or it would be computed on the event loop, which tells nothing
        known[0].features = slow_run  # type: ignore[method-assign]
        pair = [asyncio.create_task(batcher.predict(predictor(known[0]), ["a"])) for _ in range(2)]
        await asyncio.sleep(0.02)
        for task in pair:
            task.cancel()
        await asyncio.sleep(0.02)
        await memory.make_room(1)
        assert known[0].loaded, "its batch is still computed"
        gate.set()
        await asyncio.sleep(0.1)
        await memory.make_room(1)
        assert not known[0].loaded
        assert [one.users for one in known] == [0, 0]

    run(scenario, known, 0)


def test_its_memory_is_the_systems_again(tmp_path: Path) -> None:
    path = graph(tmp_path / "large.onnx", 4096)
    assert path.stat().st_size > 64 * MEBIBYTE
    code = (
        "import asyncio, sys; from pathlib import Path; import numpy as np, psutil\n"
        "from regraft.serving.memory import BackboneMemory\n"
        "from regraft.serving.predictor import Backbone\n"
        "from regraft.serving.sessions import Runtime\n"
        "uss = lambda: psutil.Process().memory_full_info().uss\n"
        "backbone = Backbone(Path(sys.argv[1]), Runtime())\n"
        "backbone.features({'x': np.ones((4, 4096), np.float32)})\n"
        "before = uss()\n"
        "asyncio.run(BackboneMemory(lambda: [backbone], 0).make_room())\n"
        "print(before - uss())\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 60 * MEBIBYTE
