-- q5, hot items: in each window of 10 s that begins every 2 s, the auctions with the most bids. All that tie for the most are results.
-- A bid lies in five windows; a window without bids has no result.
WITH back(ms) AS (
    VALUES (0), (2000), (4000), (6000), (8000)
), counted AS (
    SELECT date_time - date_time % 2000 - ms AS starttime, auction, count(*) AS num
    FROM bid CROSS JOIN back
    GROUP BY 1, 2
), most AS (
    SELECT starttime, max(num) AS num
    FROM counted
    GROUP BY starttime
)
SELECT counted.starttime, counted.starttime + 10000 AS endtime, counted.auction, counted.num
FROM counted
JOIN most ON most.starttime = counted.starttime AND most.num = counted.num;
