package prometheus

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestSamples(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:                                     "[]",
		`null`:                                   "[]",
		` [ ] `:                                  "[]",
		`[[1800000000,"1"]]`:                     "[{1800000000000 1}]",
		`[[1800000000.5,"-Inf"],[7.123,"0"]]`:    "[{1800000000500 -Inf} {7123 0}]",
		"[ [ 1 , \"NaN\" ] ,\n[2.25,\"+Inf\"] ]": "[{1000 NaN} {2250 +Inf}]",
		`[[1.8e9,"5e-324"]]`:                     "[{1800000000000 5e-324}]",
		`[[1.00049,"1"]]`:                        "[{1000 1}]",
		`[[-1,"1"]]`:                             "[{-1000 1}]",
		`[1]`:                                    "bad", `[[1]]`: "bad", `[[1,2]]`: "bad", `[[1,"x"]]`: "bad", `[["1","2"]]`: "bad",
		`[[1,"2",3]]`: "bad", `{}`: "bad", `[[1e99,"2"]]`: "bad", `[[true,"2"]]`: "bad", `[[1,"\u0031"]]`: "bad",
	} {
		var s samples
		got := ""
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			got = "bad"
		} else {
			got = fmt.Sprint(s)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// What encoding/json makes of an answer is what we make of it.
func FuzzSamples(f *testing.F) {
	f.Add(`[[1800000000,"1"],[1800000010.25,"NaN"]]`)
	f.Add(`[[1,"+Inf"]`)
	f.Add(" [ [ 1.5e3 , \"x\" ] ] ")
	f.Fuzz(func(t *testing.T, text string) {
		var s samples
		if json.Unmarshal([]byte(text), &s) != nil || strings.TrimSpace(text) == "null" {
			return
		}
		var want [][2]any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&want); err != nil || len(want) != len(s) {
			t.Fatalf("%q: %v, encoding/json says %v %v", text, s, want, err)
		}
		for i, w := range want {
			at, _ := w[0].(json.Number).Float64()
			value, err := strconv.ParseFloat(w[1].(string), 64)
			if math.Abs(float64(s[i].time)-at*1000) > 1 || err != nil || value != s[i].value && value == value {
				t.Fatalf("%q: %v, encoding/json says %v", text, s[i], w)
			}
		}
	})
}

func TestAnswers(t *testing.T) {
	for text, want := range map[string]string{
		`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"path":"a"},"values":[[1,"2"]]},{"metric":{"name":"b;c=d"},"values":[]}]}}`: "a[{1000 2}] b;c=d[] <nil>",
		`{"status":"success","isPartial":false,"data":{"result":[]},"stats":{"x":[1,{}]}}`:                                                                  "<nil>",
		`{"data":{"result":null}}`: "<nil>",
		`{"status":"error","errorType":"timeout","error":"query timed out"}`: "it answers with an error: query timed out",
		`[]`: "its answer has [ where { belongs", `{"data":7}`: "its answer has 7 where { belongs",
		`{"data":{"result":{}}}`: "its answer has { where a list belongs", `{"data":{"result":[`: "its answer ends in the middle", ``: "its answer ends in the middle",
		`<html>`: "invalid character '<' looking for beginning of value",
	} {
		got := ""
		err := matrix(strings.NewReader(text), func(e element) error {
			got += fmt.Sprintf("%s%v ", e.name(), e.Values)
			return nil
		})
		if got += fmt.Sprint(err); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	var names []string
	err := list(strings.NewReader(`{"status":"success","data":["a","b"]}`), func(s string) error {
		names = append(names, s)
		return nil
	})
	if fmt.Sprint(names, err) != "[a b] <nil>" {
		t.Errorf("%v %v", names, err)
	}
}
