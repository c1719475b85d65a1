-- Views for people who ask questions. They read the current state, so an
-- edited message counts once and a recalled one not at all.

-- +goose NO TRANSACTION
-- +goose Up

CREATE VIEW IF NOT EXISTS top_talkers AS
SELECT `group`, user, count() AS messages, min(ts) AS first_ts, max(ts) AS last_ts
FROM messages FINAL
WHERE recalled = 0
GROUP BY `group`, user
ORDER BY `group`, messages DESC, user;

CREATE VIEW IF NOT EXISTS messages_per_hour AS
SELECT `group`, toStartOfHour(ts) AS hour, count() AS messages, uniqExact(user) AS talkers
FROM messages FINAL
WHERE recalled = 0
GROUP BY `group`, hour
ORDER BY `group`, hour;

-- +goose Down

DROP VIEW IF EXISTS messages_per_hour SYNC;
DROP VIEW IF EXISTS top_talkers SYNC;
