"""Records are passed on a moment later, none lost."""

import asyncio

from regraft.serving.telemetry import Afterwards, BatchPart, BatchRecord, RequestRecord, Silent


class Listing(Silent):
    def __init__(self) -> None:
        self.told: list[BatchRecord | RequestRecord] = []

    def batch(self, record: BatchRecord) -> None:
        self.told.append(record)

    def request(self, record: RequestRecord) -> None:
        self.told.append(record)


def test_records_are_passed_on_afterwards_and_once() -> None:
    async def scenario() -> None:
        listing = Listing()
        afterwards = Afterwards(listing, seconds=0.01)
        batch = BatchRecord((BatchPart("a", "1", 1, 0.0),), 0.1, 0.2, 0.3)
        for number in range(3):
            request = RequestRecord("a", "1", 1, 200, 0.2 + number)
            afterwards.batch(batch)
            afterwards.request(request)
            assert len(listing.told) == 2 * number
            await asyncio.sleep(0.05)
            assert listing.told[-2:] == [batch, request]
        assert len(listing.told) == 6

    asyncio.run(scenario())
