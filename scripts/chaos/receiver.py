"""A receiver of notices that fails in every way a customer's server does."""

import json
import random
import threading
import time

from stand_ins import Handler, serve


class Receiver:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        # What came: id, job, round, and whether it was answered with success.
        self.got = []
        self.healed = False
        self.address = serve(Inbox, receiver=self)

    def fate(self):
        with self.lock:
            if self.healed:
                return "take"
            return self.random.choices(
                ["take", "refuse", "busy", "drop", "take and drop", "hang"],
                [60, 12, 8, 8, 8, 4])[0]

    def note(self, *came):
        with self.lock:
            self.got.append(came)


class Inbox(Handler):
    def handle_call(self):
        body = json.loads(self.body())
        data = body["data"]
        fate = self.receiver.fate()
        self.receiver.note(self.headers["webhook-id"], data["job_id"], data["round"],
                           body["type"], fate == "take")
        if fate in ("drop", "take and drop"):
            self.close_connection = True
            return None
        if fate == "hang":
            # Longer than a notice is waited for.
            time.sleep(12)
            self.close_connection = True
            return None
        if fate == "busy":
            return self.answer(429, "", [("Retry-After", "1")])
        return self.answer(204 if fate == "take" else 503)
