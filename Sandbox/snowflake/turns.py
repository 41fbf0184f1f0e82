"""Who is next in a session: the statements of a transaction run one after the other, in the order in which they came."""
import collections
import threading


class Turns:
    def __init__(self):
        self.condition, self.queue = threading.Condition(), collections.deque()

    def take(self):
        """A place at the end."""
        place = object()
        with self.condition:
            self.queue.append(place)
        return place

    def wait(self, place, canceled):
        """Until everyone before has left, or `canceled()` is true."""
        with self.condition:
            while self.queue[0] is not place and not canceled():
                self.condition.wait(0.1)

    def leave(self, place):
        with self.condition:
            self.queue.remove(place)
            self.condition.notify_all()
