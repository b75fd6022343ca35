-- q12, windows of processing time: how many bids each bidder made, per 10 s of the clock of the machine. The clock decides which window a bid
-- falls into, so only the sum over all windows can be checked.
SELECT bidder, count(*) AS bid_count
FROM bid
GROUP BY bidder;
