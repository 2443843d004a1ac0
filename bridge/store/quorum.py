"""Asks several servers the same question at once; some may be dead."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from redis.exceptions import RedisError

T = TypeVar("T")


async def ask_majority(questions: Sequence[Coroutine[Any, Any, T]], seconds: float) -> list[T]:
    """The answers so far once most servers have answered, or after *seconds*; failures are left
    out.
    """
    waiting = [asyncio.create_task(question) for question in questions]
    answers: list[T] = []
    try:
        async with asyncio.timeout(seconds):
            while waiting and len(answers) <= len(questions) // 2:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                ended = [task for task in waiting if task.done()]
                waiting = [task for task in waiting if task not in ended]
                for task in ended:
                    error = task.exception()
                    if error is None:
                        answers.append(task.result())
                    elif not isinstance(error, (RedisError, OSError)):
                        raise error
    except TimeoutError:
        pass
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return answers
