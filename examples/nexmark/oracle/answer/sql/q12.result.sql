-- The windows of a bidder together.
SELECT bidder, CAST(sum(bid_count) AS BIGINT) AS bid_count
FROM result
GROUP BY bidder;
