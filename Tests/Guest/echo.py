#!/usr/bin/env python3
"""Sends back what is sent to port 7000, however much that is before it is taken.

What was received so far, in bytes, stands in the file that the argument names.
"""

import pathlib
import queue
import socket
import sys
import threading


def send(connection, chunks):
    while chunk := chunks.get():
        connection.sendall(chunk)
    connection.shutdown(socket.SHUT_WR)


def main():
    progress = pathlib.Path(sys.argv[1])
    total = 0
    with socket.create_server(("", 7000)) as server:
        print("listening", flush=True)
        while True:
            connection, _ = server.accept()
            with connection:
                chunks = queue.SimpleQueue()
                sender = threading.Thread(target=send, args=(connection, chunks))
                sender.start()
                while chunk := connection.recv(1 << 20):
                    chunks.put(chunk)
                    total += len(chunk)
                    progress.write_text(str(total))
                chunks.put(b"")
                sender.join()


if __name__ == "__main__":
    main()
