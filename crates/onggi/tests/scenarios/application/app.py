import os
import signal
import sys

import flask
import psycopg2

app = flask.Flask("visits")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


@app.route("/")
def visit():
    with psycopg2.connect(os.environ["DATABASE_URL"]) as database, database.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS visits (at timestamp DEFAULT now())")
        cursor.execute("INSERT INTO visits DEFAULT VALUES")
        cursor.execute("SELECT count(*) FROM visits")
        return str(cursor.fetchone()[0])


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
