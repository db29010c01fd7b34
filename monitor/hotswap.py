"""Follows the registry while a lecture runs: which model answers the next sample, and which is asked beside it.

Looked at between two samples, so that no sample has answers of two models. An adapter of a model that runs already
takes effect at once and shares its sessions; another model is read and loaded on a thread of its own first. What cannot
be taken is refused with the reason, and the model in use stays. It knows no frames and no store.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np

from monitor.bundle import Bundle
from monitor.errors import ClassroomError
from monitor.registry import CHALLENGER, CHAMPION, SHIPPED, Entry, Registry
from monitor.rubric import Rubric
from monitor.schema import Box, Crop
from monitor.vlm.bundled import BundledClassifier
from monitor.vlm.classifier import Classifier
from monitor.vlm.shadow import ShadowClassifier


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one choice that somebody made in the registry."""

    alias: str
    """"champion" or "challenger"."""
    model: str
    """What answers under that alias now, in words; empty: no challenger any more."""
    refused: str
    """Why the model chosen was not taken, so that the one before stays; empty where it was."""
    held_up_ms: float
    """For how long the samples waited."""
    ready_ms: float
    """From noticing the choice to taking it."""

    @property
    def line(self) -> str:
        """One line for a person."""
        if self.refused:
            goes_on = f"{self.model} goes on" if self.model else "the lecture goes on without one"
            return f"{self.alias} refused, {goes_on}: {self.refused}"
        return f"{self.alias} from here on: {self.model or 'none'}"


@dataclass(frozen=True, slots=True)
class _Running:
    """An entry and what runs it."""

    entry: Entry
    classifier: BundledClassifier


@dataclass(slots=True)
class _Place:
    """What is known of one alias."""

    alias: str
    stamp: object = None
    """Of the choice that was looked at last."""
    running: _Running | None = None
    prepared: Future[_Running | None] | None = None
    noticed_s: float = 0.0
    refused: str = ""


class FixedModel:
    """One model for the whole lecture, whatever the registry says."""

    notice = ""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier

    def look(self) -> list[Change]:
        """Nothing ever changes."""
        return []

    def wait(self) -> None:
        """Nothing is ever loaded."""

    def close(self) -> None:
        """Nothing to release."""


class FollowedModel:
    """The champion of a registry, with its challenger in shadow where there is one.

    Args:
        registry: asked for its stamp at each `look`.
        rubric: what is asked; every model must have been trained for it.
        threads: processor cores used for one batch.

    Raises:
        ClassroomError: there is a champion, and it cannot be run. A challenger that cannot is told by `look`.
    """

    def __init__(self, registry: Registry, rubric: Rubric, threads: int = 1) -> None:
        self._registry = registry
        self._rubric = rubric
        self._threads = threads
        self._worker: ThreadPoolExecutor | None = None
        self._places = (_Place(CHAMPION), _Place(CHALLENGER))
        for place, stamp in zip(self._places, registry.stamp(), strict=True):
            place.stamp, place.noticed_s = stamp, time.perf_counter()
        champion = self._prepare(self._champion)
        assert champion is not None  # where nobody chose one, it is the model that ships
        self._champion.running = champion
        self.classifier: Classifier = champion.classifier
        """What answers the next sample; `look` may change it."""
        challenger = self._places[1]
        self._untold = [] if challenger.stamp is None else self._take(challenger, time.perf_counter())
        self._line_up()

    @property
    def notice(self) -> str:
        """What is wrong with the models chosen, in short, for who looks at the lecture; empty where all is well."""
        told = []
        for place in self._places:
            if place.refused:
                told.append(f"new {place.alias} refused: {self._in_short(place.refused)}")
        if isinstance(self.classifier, ShadowClassifier) and self.classifier.trouble:
            told.append(f"challenger failed and is not asked any more: {self._in_short(self.classifier.trouble)}")
        return " · ".join(told)

    def look(self) -> list[Change]:
        """Take up what was chosen since the last look, where it is ready; costs two small files where nothing was.

        Never raises on account of a model: what cannot be run is refused, and the one before stays.
        """
        changes, self._untold = self._untold, []
        for place, stamp in zip(self._places, self._registry.stamp(), strict=True):
            if stamp != place.stamp:
                place.stamp, place.noticed_s, place.prepared = stamp, time.perf_counter(), None
                if self._takes_effect_at_once(place):
                    changes += self._take(place, place.noticed_s)
                else:
                    place.prepared = self._in_background(place)
            elif place.prepared is not None and place.prepared.done():
                changes += self._take(place, time.perf_counter())
        if changes:
            self._line_up()
        return changes

    def wait(self, timeout_s: float | None = None) -> None:
        """Until no model is being loaded, so that the next `look` takes whatever was chosen before the last one."""
        wait([place.prepared for place in self._places if place.prepared is not None], timeout_s)

    def close(self) -> None:
        """Wait for a model that is being loaded, and let go of it. Safe to call twice."""
        if self._worker is not None:
            self._worker.shutdown(cancel_futures=True)
            self._worker = None

    @property
    def _champion(self) -> _Place:
        return self._places[0]

    def _take(self, place: _Place, held_up_since_s: float) -> list[Change]:
        """Let the prepared model answer, or say why it cannot."""
        prepared, place.prepared = place.prepared, None
        try:
            place.running = prepared.result() if prepared else self._prepare(place)
            place.refused = ""
        except ClassroomError as error:
            place.refused = str(error)
        except Exception as error:  # a lecture must not end on account of what somebody put into a folder
            place.refused = f"{type(error).__name__}: {error}"
        ended_s = time.perf_counter()
        held_up_ms, ready_ms = 1e3 * (ended_s - held_up_since_s), 1e3 * (ended_s - place.noticed_s)
        return [Change(place.alias, _named(place.running), place.refused, held_up_ms, ready_ms)]

    def _line_up(self) -> None:
        champion, challenger = (place.running for place in self._places)
        assert champion is not None  # one from the beginning, and only another takes its place
        self.classifier = champion.classifier
        if challenger is not None and challenger.entry.manifest_sha256 != champion.entry.manifest_sha256:
            self.classifier = ShadowClassifier(
                champion.classifier, challenger.classifier, see_once=_see_alike(champion, challenger)
            )

    def _in_background(self, place: _Place) -> Future[_Running | None]:
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="models")
        return self._worker.submit(self._prepare, place)

    def _prepare(self, place: _Place) -> _Running | None:
        """Open and check what the alias names, and make sure that it answers."""
        entry = self._registry.champion() if place.alias == CHAMPION else self._registry.challenger()
        if entry is None:
            return None
        return _Running(entry, self._classifier(entry))

    def _classifier(self, entry: Entry) -> BundledClassifier:
        """On the sessions of a model that runs already, where it is the same one."""
        for running in self._running():
            if _same(running.entry.bundle, entry.bundle):
                return running.classifier.swapped(entry.adapter)
        classifier = BundledClassifier(entry.bundle, self._rubric, self._threads, entry.adapter)
        _try_out(classifier)
        return classifier

    def _takes_effect_at_once(self, place: _Place) -> bool:
        """Whether only a small file is to be read: an adapter, or the shipped model, of sessions that run."""
        try:
            alias = self._registry.alias(place.alias)
            if alias is None and place.alias == CHALLENGER:
                return True
            model_id = alias.model_id if alias else SHIPPED
            bundles = [running.entry.bundle for running in self._running()]
            if model_id == SHIPPED:
                return any(bundle.path == self._registry.shipped_path for bundle in bundles)
            return self._registry.base_id(model_id) in [bundle.model_id for bundle in bundles]
        except ClassroomError:
            return True  # and is refused at once

    def _in_short(self, text: str) -> str:
        """The first sentence, files named from the registry's folder on."""
        return text.replace(f"{self._registry.folder}{os.sep}", "").split(". ", maxsplit=1)[0].rstrip(".")

    def _running(self) -> list[_Running]:
        return [place.running for place in self._places if place.running is not None]


def _same(one: Bundle, other: Bundle) -> bool:
    """Whether two were opened from the same files: a bundle is known by its manifest, which holds their sha256."""
    return one.manifest == other.manifest


def _see_alike(one: _Running, other: _Running) -> bool:
    """Whether what one saw is what the other would have seen."""
    changed = one.classifier.changes_vision or other.classifier.changes_vision
    return _same(one.entry.bundle, other.entry.bundle) and not changed


def _named(running: _Running | None) -> str:
    """A model in words."""
    if running is None:
        return ""
    adapter = running.classifier.adapter_id
    return running.classifier.model_id + (f" with {adapter}" if adapter else "")


def _try_out(classifier: Classifier) -> None:
    """Ask about a grey picture: a model that cannot answer this one must not be asked about a student.

    Raises:
        Exception: whatever onnxruntime has, or ValueError for answers that are no probabilities.
    """
    grey = np.full((8, 8, 3), 128, np.uint8)
    classifier.predict([Crop("trial", "trial", 0.0, Box(0, 0, 8, 8), grey)])
