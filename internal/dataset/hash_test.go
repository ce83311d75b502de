package dataset_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/annexfs/annexfs/internal/dataset"
)

const helloDigits = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

func TestParseHash(t *testing.T) {
	want := dataset.HashOf([]byte("hello"))
	for _, s := range []string{helloDigits, strings.ToUpper(helloDigits), helloDigits[:32] + strings.ToUpper(helloDigits[32:])} {
		if got, err := dataset.ParseHash(s); got != want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", s, got, err, want)
		}
	}
	if want.String() != helloDigits || want.IsZero() || !(dataset.Hash{}).IsZero() {
		t.Errorf("got %s, zero %v, want %s", want, want.IsZero(), helloDigits)
	}
	for _, s := range []string{"", "abc", helloDigits + "0", helloDigits[:63], helloDigits[:63] + "g", " " + helloDigits[1:]} {
		_, err := dataset.ParseHash(s)
		refused(t, err, "hash", s, "64 hexadecimal digits")
	}
}

func TestHash_JSON(t *testing.T) {
	want := map[string]dataset.Hash{"h": dataset.HashOf([]byte("hello"))}
	data, err := json.Marshal(want)
	if string(data) != `{"h":"`+helloDigits+`"}` || err != nil {
		t.Errorf("got %s, %v", data, err)
	}
	var got map[string]dataset.Hash
	if err := json.Unmarshal(data, &got); err != nil || got["h"] != want["h"] {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if err := json.Unmarshal([]byte(`{"h":"12"}`), &got); err == nil {
		t.Error("a hash of two digits: got no error")
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(helloDigits)
	f.Add(strings.ToUpper(helloDigits))
	f.Add("latest")
	f.Fuzz(func(t *testing.T, s string) {
		if h, err := dataset.ParseHash(s); err == nil && h.String() != strings.ToLower(s) {
			t.Errorf("got %s, want %s", h, strings.ToLower(s))
		}
	})
}
