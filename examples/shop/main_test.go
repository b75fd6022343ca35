package main

import (
	"testing"
	"time"

	"github.com/cairnstream/cairn/stream/streamtest"
)

// at is a time of the day.
func at(clock string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", "2026-03-01 "+clock)
	if err != nil {
		panic(err)
	}
	return t
}

func TestShop(t *testing.T) {
	streamtest.EveryWay(t, func(t *testing.T, way streamtest.Option) {
		job := streamtest.NewWith(t, Config{}, Shop, way)
		views, orders := streamtest.Input[View](job, "views"), streamtest.Input[Order](job, "orders")
		sold, counts := streamtest.Output[Sale](job, "sold"), streamtest.Output[Visit](job, "counts")

		views.Add(View{"v1", "ann", "/shoes", at("10:00:00")}, View{"v1", "ann", "/shoes", at("10:00:03")})
		orders.Add(Order{"ann", 4900, at("10:09:00")}, Order{"ann", 100, at("10:10:01")})
		sold.Want(Sale{"ann", "/shoes", 4900}) // once, and not the one that is too late

		views.Add(View{"v2", "ann", "/hats", at("10:20:00")})
		orders.Add(Order{"ann", 1500, at("10:21:00")})
		sold.Want(Sale{"ann", "/hats", 1500})
		counts.Want() // the visit may go on until 10:51

		views.Watermark(at("11:00:00"))
		orders.Watermark(at("11:00:00"))
		got := counts.Take()
		if len(got) != 1 || got[0].Key != "ann" || got[0].Value != 2 {
			t.Errorf("visits %v, want one of ann with 2 sales", got)
		}
		job.Finish()
		counts.Want()
	})
}
