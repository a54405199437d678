"""One adaptation from beginning to end."""

import logging
import secrets
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from regraft.adaptations.candidate import finish
from regraft.adaptations.context import Context
from regraft.adaptations.judging import evaluate
from regraft.adaptations.learning import learn
from regraft.adaptations.publishing import publish, result
from regraft.adaptations.rank import best_source
from regraft.adaptations.request import AUTO, check_request
from regraft.adaptations.search import Found, find
from regraft.adaptations.work import Work, begin
from regraft.data.load import load_dataset
from regraft.domain import JSON, UPLOADED, Adaptation, AdaptationSpec, DataSet, State
from regraft.errors import (
    CancelledRunError,
    DataError,
    RegraftError,
    RunFailedError,
)
from regraft.registry.patience import patiently

log = logging.getLogger("regraft.adaptations")


def run(context: Context) -> Adaptation:
    """Run the adaptation to a final state, which is recorded; the error, if any, goes on."""
    runs, identifier = context.registry.runs, context.adaptation.id
    if not runs.start(identifier):
        return runs.get(identifier)
    context.plugins.notify("adaptation_started", context.adaptation)
    try:
        found = _stages(context)
    except (CancelledRunError, KeyboardInterrupt) as error:
        _finish(context, State.CANCELLED, {"reason": "cancelled", "status": 409})
        raise CancelledRunError("The adaptation was cancelled.") from error
    except RegraftError as error:
        _finish(context, State.FAILED, _failure(error))
        raise
    except BaseException as error:
        _finish(context, State.FAILED, _failure(error))
        raise RunFailedError(f"{type(error).__name__}: {error}") from error
    _finish(context, State.SUCCEEDED, found)
    return runs.get(identifier)


def _finish(context: Context, state: State, data: JSON) -> None:
    """Record the final state, and tell of it once. What training left is of use until then: who
    takes the run up after a crash goes on from it."""
    runs, identifier = context.registry.runs, context.adaptation.id
    result = data if state == State.SUCCEEDED else None
    if patiently(lambda: runs.finish(identifier, state, data.get("reason"), result)):
        context.report(str(state), data)
        context.plugins.notify("adaptation_finished", runs.get(identifier))
        shutil.rmtree(context.registry.home.run(identifier), ignore_errors=True)


def _failure(error: BaseException) -> JSON:
    problems = {"problems": error.as_dicts()} if isinstance(error, DataError) else {}
    if isinstance(error, RegraftError):
        return {"reason": str(error), "status": error.status, **problems}
    # What it says may name files or rows, which are not for whoever may read the run.
    where = secrets.token_hex(6)
    log.error("adaptation failed: %s", where, exc_info=error)
    return {"reason": f"An internal error. The log tells more under {where}.", "status": 500}


def _stages(context: Context) -> JSON:
    asked = context.adaptation.spec
    request = check_request(asked, context.plugins)
    with context.stage("data"):
        data = load_data(context, asked)
    context.report("data", {"rows": data.counts(), "labels": len(data.labels)})
    ranking = None
    if asked.source == AUTO:
        source, ranking = best_source(context, request.spec, data)
        chosen = asked.model_copy(update={"source": source})
        request = check_request(chosen, context.plugins)
    work = begin(request, data, context)
    with _cluster(work):
        found = find(work) if asked.strategy == AUTO else Found(*learn(work), [])
        candidate = finish(found.work, found.learnt)
        report = evaluate(found.work, candidate)
    _check_open(context)
    choices = {"tried": found.tried, "ranking": ranking}
    with context.stage("publish"):
        version = publish(found.work, candidate, {**report, **choices})
    return result(found.work, version)


def _cluster(work: Work) -> AbstractContextManager[None]:
    """The one on which all that this adaptation trains is trained, if it trains anything, and where
    workers compute features, if there are to be any."""
    request, asked = work.request, work.context.adaptation.spec
    frozen = request.own is not None or request.strategy.freezes_backbone
    searching = asked.strategy == AUTO and request.source.trainable
    if frozen and not searching and (asked.workers or 1) == 1:
        return nullcontext()
    from regraft.training.cluster import connected

    return connected(work.context.settings)


def _check_open(context: Context) -> None:
    """A run that somebody cancelled, or that a new server gave up, publishes nothing."""
    context.check_cancelled()
    if context.registry.runs.get(context.adaptation.id).state.final:
        raise RunFailedError("The adaptation was ended by somebody else.")


def load_data(context: Context, spec: AdaptationSpec) -> DataSet:
    """The data that the spec names."""
    task = context.plugins.task(spec.task)
    return load_dataset(spec, task, context.settings, _resolver(context))


def _resolver(context: Context) -> Callable[[str], Path]:
    def resolve(reference: str) -> Path:
        if reference.startswith(UPLOADED):
            return context.registry.uploads.path(reference)
        return Path(context.plugins.dataset_path(reference)).expanduser()

    return resolve
