"""From a prediction that is asked for to its reply: counted and timed, whatever becomes of it."""

from regraft.errors import RegraftError
from regraft.serving.asked import REQUEST_ID, Asked, Predicting, Reply, refused
from regraft.serving.inference import Inference


async def replied(inference: Inference, predicting: Predicting, asked: Asked) -> Reply:
    """What `predicting`, one of the inference's, says. The request keeps the id that it came
    with."""
    known, identifier = (asked.caller, asked.name), asked.headers.get(REQUEST_ID)
    with inference.recorded(known, identifier, asked.headers) as call:
        try:
            answer = await predicting(asked, call)
            reply = Reply(200, answer.headers, answer.body)
        except RegraftError as error:
            reply = refused(error)
            call.status = reply.status
    return await reply.compressed(asked.headers.get("accept-encoding"))
