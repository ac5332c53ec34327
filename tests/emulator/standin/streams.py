"""Devices, streams and events: work is queued, and done when somebody waits for it."""

from collections import deque
from itertools import count

from emulator.standin.machine import CUDARuntimeError, machine

_addresses = count(0x1000, 0x100)


class Device:
    """One device; with it, it is the current one."""

    def __init__(self, device=None):
        number = current_device() if device is None else int(device)
        if not 0 <= number < machine().count:
            raise CUDARuntimeError(101)
        self.id = number
        self._before = []

    def __enter__(self):
        self._before.append(current_device())
        return self.use()

    def __exit__(self, *_):
        machine().local.device = self._before.pop()

    def __int__(self):
        return self.id

    def __eq__(self, other):
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self):
        return hash(self.id)

    def __repr__(self):
        return f"<CUDA Device {self.id}>"

    def use(self):
        """Make it the current device of this thread."""
        machine().local.device = self.id
        return self

    @property
    def compute_capability(self):
        return machine().capability

    @property
    def attributes(self):
        return {
            "MultiProcessorCount": 4,
            "MaxSharedMemoryPerBlock": STATIC_SHARED,
            "MaxSharedMemoryPerBlockOptin": MOST_SHARED,
            "MaxThreadsPerBlock": 1024,
            "WarpSize": 32,
        }

    @property
    def mem_info(self):
        return machine().memory - machine().taken(self.id), machine().memory


STATIC_SHARED, MOST_SHARED = 48 << 10, 227 << 10


def current_device():
    """Number of this thread's current device."""
    return getattr(machine().local, "device", 0)


class _Queue:
    """What is to be done on one stream."""

    def __init__(self, device):
        self.device, self.owner = device, machine()
        self.work, self.done = deque(), 0

    def push(self, function, memories=(), quietly=False):
        """Queue work on the bytes of some allocations, which outlive them until it is done."""
        users, held = [memory.users for memory in memories], [memory.bytes for memory in memories]
        with self.owner.lock:
            for found in users:
                found.append(self)
            self.work.append((function, users, held))
            if not quietly:
                _go_on()

    def run(self, upto=None):
        """Do what is queued, or the first of it."""
        with self.owner.lock:
            last = self.done + len(self.work) if upto is None else upto
            while self.work and self.done < last:
                function, users, _held = self.work.popleft()
                self.done += 1
                try:
                    function()
                finally:
                    for found in users:
                        found.remove(self)


def _go_on():
    """Do some of some stream's work, where the machine is one that goes on by itself."""
    random = machine().random
    if random is not None and random.random() < 0.7:
        queue = random.choice(list(machine().streams.values()))
        queue.run(queue.done + random.randint(0, len(queue.work)))


def _queue_at(address, device):
    key = (device, address)
    with machine().lock:
        return machine().streams.setdefault(key, _Queue(device))


class _BaseStream:
    def __init__(self, ptr, device_id):
        self.ptr, self.device_id = ptr, device_id

    @property
    def _queue(self):
        # The null stream is an object of the class, and each device has its own.
        device = current_device() if self.device_id == -1 else self.device_id
        return _queue_at(self.ptr, device)

    def __enter__(self):
        before = current_device(), get_current_stream()
        entered = self.use()
        machine().local.__dict__.setdefault("entered", []).append(before)
        return entered

    def __exit__(self, *_):
        device, stream = machine().local.entered.pop()
        machine().local.__dict__.setdefault("streams", {})[device] = stream

    def __eq__(self, other):
        return isinstance(other, _BaseStream) and self._queue is other._queue

    def __hash__(self):
        return hash(self.ptr)

    def use(self):
        """Make it the current stream of the current device and of this thread."""
        if self._queue.device != current_device():
            raise RuntimeError("This stream was not created on the current device")
        machine().local.__dict__.setdefault("streams", {})[current_device()] = self
        return self

    @property
    def done(self):
        return not self._queue.work

    def synchronize(self):
        self._queue.run()

    def record(self, event=None):
        event = Event() if event is None else event
        event._at = self._queue, self._queue.done + len(self._queue.work)
        return event

    def wait_event(self, event):
        if event._at is not None:
            queue, place = event._at
            self._queue.push(lambda: queue.run(place))


class Stream(_BaseStream):
    """A stream of the current device."""

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        if ptds or not (null or non_blocking):
            raise NotImplementedError("the stand-in has null and non-blocking streams only")
        address = 0 if null else next(_addresses)
        super().__init__(address, -1 if null else current_device())
        if not null:
            self._queue  # noqa: B018 - it is registered by this


Stream.null = Stream(null=True)


class ExternalStream(_BaseStream):
    """A stream that somebody else made."""

    def __init__(self, ptr, device_id=-1):
        device = current_device() if device_id == -1 else device_id
        super().__init__(int(ptr), device)


class Event:
    """A place in a stream's work."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self._at = None

    @property
    def done(self):
        return self._at is None or self._at[0].done >= self._at[1]

    def record(self, stream=None):
        (get_current_stream() if stream is None else stream).record(self)

    def synchronize(self):
        if self._at is not None:
            self._at[0].run(self._at[1])


def get_current_stream(device_id=-1):
    """The stream that a device's work goes to."""
    device = current_device() if device_id == -1 else device_id
    return machine().local.__dict__.get("streams", {}).get(device, Stream.null)


def current_queue():
    """Queue of the current stream."""
    return get_current_stream()._queue
