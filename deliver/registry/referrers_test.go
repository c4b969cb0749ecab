package registry

import (
	"fmt"
	"strings"
	"testing"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/oci"
)

func TestReferrers(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h, ctx := open(t, db), t.Context()
		body := h.image(nil, "app", "{}", "layer")
		m := h.push("app", body, "1")
		subject := &Descriptor{MediaType: oci.TypeManifest, Digest: m.Digest, Size: int64(len(body))}
		big := strings.Repeat("n", MaxManifest/3)
		made := map[Digest]bool{}
		for i := range 5 {
			note := "sbom"
			if i%2 == 1 {
				note = "signature"
			}
			r := h.push("app", h.image(subject, note, fmt.Sprint(i), big[:0]+note), fmt.Sprintf("r%d", i))
			if r.Subject != m.Digest {
				t.Errorf("%+v", r)
			}
			made[r.Digest] = true
		}
		list, more, err := h.Referrers(ctx, "app", m.Digest, "", "")
		if err != nil || more || len(list) != 5 || !strings.Contains(string(list[0].Annotations), `"note":`) {
			t.Fatalf("%v %v %v", list, more, err)
		}
		for _, d := range list {
			if !made[d.Digest] {
				t.Errorf("%s refers to something else", d.Digest)
			}
		}
		if list, _, err := h.Referrers(ctx, "app", m.Digest, "application/x-sbom", ""); err != nil || len(list) != 3 {
			t.Errorf("of one type: %v, %v", list, err)
		}
		// As much as fits in an answer, and the rest in the next ones.
		for i := range 3 {
			content := fmt.Sprint("big", i)
			d := h.blob(content)
			h.push("app", text(t, map[string]any{"schemaVersion": 2, "mediaType": oci.TypeManifest, "config": d, "layers": []any{}, "subject": subject, "annotations": map[string]string{"a": big}}))
		}
		seen, after := 0, Digest("")
		for rounds := 0; ; rounds++ {
			list, more, err := h.Referrers(ctx, "app", m.Digest, "", after)
			if err != nil || len(list) == 0 || rounds > 3 {
				t.Fatalf("%d: %v", len(list), err)
			}
			seen += len(list)
			if after = list[len(list)-1].Digest; !more {
				if rounds == 0 {
					t.Error("4 MiB of notes came at once")
				}
				break
			}
		}
		if seen != 8 {
			t.Errorf("%d of 8", seen)
		}
		if list, more, err := h.Referrers(ctx, "nowhere", m.Digest, "", ""); err != nil || more || len(list) != 0 {
			t.Errorf("%v %v", list, err)
		}
	})
}
