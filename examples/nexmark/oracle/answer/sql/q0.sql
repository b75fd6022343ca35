-- q0, pass through: every bid, without its channel and URL.
SELECT auction, bidder, price, date_time, extra
FROM bid;
