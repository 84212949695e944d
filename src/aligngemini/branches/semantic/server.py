"""A vision-language model behind an OpenAI-compatible server, such as vLLM."""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from aligngemini.branches.semantic.asking import (
    chat_question,
    first_words,
    picture,
    systemone_log_odds,
    systemone_question,
    top_log_odds,
)
from aligngemini.branches.semantic.backend import Answer, AnswerError, Pixels
from aligngemini.branches.semantic.endpoint import Endpoint, EndpointError
from aligngemini.evidence import Label, Problem
from aligngemini.models.qwen_facts import MAX_PIXELS, MIN_PIXELS, PATCH
from aligngemini.prompts import Prompt
from aligngemini.runtimes.folder import Calibration, ModelError
from aligngemini.runtimes.semantic_folder import UNMEASURED

KEYS = ("ALIGNGEMINI_API_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the server's key; the first that does counts."""

FIRST_TIMEOUT = 100.0  # seconds; servers load a model when it is first asked for
LABEL_TOKENS, REASON_TOKENS = 32, 160
TOP = 20  # log-probabilities a token: the most that servers give by default

Way = Literal["log-probabilities", "System One", "label"]


class ServerBackend:
    """A model that is asked by HTTP; see `Backend`.

    Its score compares the first token of each verdict behind what the two sentences have in
    common. A word that is not among the `TOP` likeliest counts as likely as the last of them.

    Attributes:
        way: What the server is asked for: found out once, so that all images of a run are judged
            alike.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        *,
        systemone: bool = False,
        prompt: Prompt | None = None,
        min_pixels: int = MIN_PIXELS,
        max_pixels: int = MAX_PIXELS,
        calibration: Calibration = UNMEASURED,
        concurrency: int = 8,
        timeout: float = 50.0,
    ) -> None:
        """Try the server with a picture drawn on the spot.

        Args:
            url: Root of the API, with no name or password in it.
            model: As the server names it; None where it has only one.
            systemone: Whether to ask the System One endpoint of `transformers serve`, and not for
                a chat completion.
            prompt: The wording; the default one where None.
            min_pixels: Smaller images are enlarged to this many before they are sent.
            max_pixels: Larger ones are shrunk to this many.
            calibration: How its log-odds become a score.
            concurrency: Requests at the same time; further images wait.
            timeout: Seconds a request may take, all tries together.

        Raises:
            ModelError: The server cannot be reached, refuses the request, or has several models.
        """
        key = next((os.environ[name] for name in KEYS if os.environ.get(name)), None)
        self.endpoint = Endpoint(url, key=key, timeout=timeout)
        self.prompt = prompt or Prompt()
        self.min_pixels, self.max_pixels = min_pixels, max_pixels
        self.calibration = calibration
        self.concurrency = concurrency
        self._opening, self._words = first_words(self.prompt)
        try:
            self.name = model or self._only_model()
            self.way: Way = "System One" if systemone else "log-probabilities"
            self.way = self._try(self._picture(_GREY))
        except EndpointError as error:
            hint = f"; the key is read from {' or '.join(KEYS)}" if error.status == 401 else ""
            raise ModelError(f"{error}{hint}") from error
        known = [self.endpoint.url, self.name, self.way, max_pixels, asdict(self.prompt)]
        if (min_pixels, calibration) != (MIN_PIXELS, UNMEASURED):
            known += [min_pixels, asdict(calibration)]
        self.fingerprint = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:12]

    def answer(self, images: Sequence[Pixels]) -> list[Answer | Problem]:
        """See `Backend`."""
        with ThreadPoolExecutor(self.concurrency) as pool:
            return list(pool.map(self._answer, images))

    def explain(self, image: Pixels, label: str) -> str:
        """See `Backend`."""
        verdict = self.prompt.verdict(label)
        question = chat_question(self._picture(image), self.prompt)
        opening = verdict if self.way == "log-probabilities" else None
        text = self._text(question, REASON_TOKENS, opening=opening)
        return text.lstrip().removeprefix(verdict)

    def _answer(self, image: Pixels) -> Answer | Problem:
        try:
            sent = self._picture(image)
            log_odds = None if self.way == "label" else self._log_odds(sent)
            if log_odds is not None:
                return Answer(log_odds=log_odds)
            return Answer(label=self._label(chat_question(sent, self.prompt)))
        except AnswerError as error:
            return error.problem

    def _picture(self, image: Pixels) -> str:
        return picture(image, self.max_pixels, min_pixels=self.min_pixels)

    def _only_model(self) -> str:
        """The name of the one model that the server has."""
        listed = self.endpoint.ask("models").get("data")
        names = [str(entry.get("id")) for entry in listed or [] if isinstance(entry, dict)]
        if len(names) != 1:
            raise ModelError(
                f"{self.endpoint.url} has the models {', '.join(names) or '(none)'}: "
                f"name one, as {self.endpoint.url}#NAME"
            )
        return names[0]

    def _try(self, sent: str) -> Way:
        """How the server can be asked.

        Raises:
            EndpointError: In no way.
        """
        try:
            self._log_odds(sent, timeout=FIRST_TIMEOUT)
        except EndpointError as error:
            # 200: it left the numbers out. 400 and 422: it does not know what asks for them, or
            # refuses all it is asked; the second request tells.
            if self.way == "System One" or error.status not in (200, 400, 422):
                raise
            self._text(chat_question(sent, self.prompt), 1, timeout=FIRST_TIMEOUT)
            return "label"
        return self.way

    def _log_odds(self, sent: str, timeout: float | None = None) -> float | None:
        """Of the two verdicts; None where neither is among the likeliest ways to go on.

        Raises:
            EndpointError: There is no answer, or no number in it.
        """
        if self.way == "System One":
            body = {"model": self.name, **systemone_question(sent, self.prompt)}
            log_odds = systemone_log_odds(self.endpoint.ask("systemone", body, timeout=timeout))
            if log_odds is None:
                raise EndpointError("unavailable", f"{self.endpoint.url} gives no numbers", 200)
            return log_odds
        choice = self._choice(
            chat_question(sent, self.prompt),
            opening=self._opening or None,
            timeout=timeout,
            max_tokens=1,
            logprobs=True,
            top_logprobs=TOP,
        )
        try:
            return top_log_odds(choice, self._words)
        except ValueError as error:
            raise EndpointError("unavailable", f"{self.endpoint.url}: {error}", 200) from error

    def _label(self, question: list[dict[str, Any]]) -> Label:
        """The verdict that opens a free answer; it is told to begin with one if it does not.

        Raises:
            EndpointError: It still does not.
        """
        fake, real = self.prompt.fake, self.prompt.real
        told = {"type": "text", "text": f'Begin with "{fake}" or "{real}"'}
        text = ""
        for parts in (question, [*question, told]):
            text = self._text(parts, LABEL_TOKENS)
            opening = text.lstrip(' \n"*').casefold()
            if opening.startswith(fake.rstrip(".").casefold()):
                return "fake"
            if opening.startswith(real.rstrip(".").casefold()):
                return "real"
        raise EndpointError("unavailable", f"the model gives no verdict; it says {text[:80]!r}")

    def _text(
        self,
        question: list[dict[str, Any]],
        max_tokens: int,
        *,
        opening: str | None = None,
        timeout: float | None = None,
    ) -> str:
        """What the model writes, behind `opening` where there is one."""
        choice = self._choice(question, opening=opening, timeout=timeout, max_tokens=max_tokens)
        message = choice.get("message")
        text = message.get("content") if isinstance(message, dict) else None
        if not isinstance(text, str):
            raise EndpointError("unavailable", f"{self.endpoint.url} answers without a text", 200)
        return text

    def _choice(
        self,
        question: list[dict[str, Any]],
        *,
        opening: str | None,
        timeout: float | None,
        **settings: Any,
    ) -> dict[str, Any]:
        """The first choice of a chat completion."""
        messages: list[dict[str, Any]] = [{"role": "user", "content": question}]
        if opening is not None:
            messages.append({"role": "assistant", "content": opening})
            # vLLM's way to have the model go on with an answer.
            settings |= {"continue_final_message": True, "add_generation_prompt": False}
        body = {"model": self.name, "messages": messages, "temperature": 0, **settings}
        answer = self.endpoint.ask("chat/completions", body, timeout=timeout)
        choices = answer.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            raise EndpointError("unavailable", f"{self.endpoint.url} answers without choices", 200)
        return choices[0]


_GREY = np.full((4 * PATCH, 4 * PATCH, 3), 128, np.uint8)
