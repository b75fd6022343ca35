-- q11, user sessions: how many bids each bidder made in each session. In a session each bid comes less than 10 s after the one before.
-- Its endtime is 10 s after its last bid, and a bid at that moment begins another session.
WITH marked AS (
    SELECT bidder, date_time,
        CASE WHEN date_time - lag(date_time) OVER (PARTITION BY bidder ORDER BY date_time) < 10000
            THEN 0 ELSE 1 END AS begins
    FROM bid
), numbered AS (
    -- Of bids at the same moment the one that begins a session comes first.
    SELECT bidder, date_time,
        sum(begins) OVER (PARTITION BY bidder ORDER BY date_time, begins DESC ROWS UNBOUNDED PRECEDING) AS session
    FROM marked
)
SELECT bidder, count(*) AS bid_count, min(date_time) AS starttime, max(date_time) + 10000 AS endtime
FROM numbered
GROUP BY bidder, session;
