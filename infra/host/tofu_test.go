package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steer/base/fault"
)

// fakeTofu is a program that notes its arguments, and answers as the real ones do. Its
// texts are what Terraform 1.11 wrote.
const fakeTofu = `#!/bin/sh
echo "$*" >> "$LOG"
case "$2" in
apply)
  case "$*" in *name=broken*)
    echo '{"@level":"info","@message":"Terraform 1.11.4","@module":"terraform.ui","terraform":"1.11.4","type":"version","ui":"1.2"}'
    echo '{"@level":"error","@message":"Error: local-exec provisioner error","@module":"terraform.ui","diagnostic":{"severity":"error","summary":"local-exec provisioner error","detail":"exit status 3. Output: no room","address":"terraform_data.host"},"type":"diagnostic"}'
    exit 1;; esac
  echo '{"@level":"info","@message":"Apply complete! Resources: 1 added, 0 changed, 0 destroyed.","@module":"terraform.ui","changes":{"add":1,"change":0,"import":0,"remove":0,"operation":"apply"},"type":"change_summary"}';;
output) cat "$OUTPUTS";;
esac
`

func TestTofu(t *testing.T) {
	dir := t.TempDir()
	log, outputs := filepath.Join(dir, "log"), filepath.Join(dir, "outputs")
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put(filepath.Join(dir, "tofu"), fakeTofu)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("LOG", log)
	t.Setenv("OUTPUTS", outputs)
	put(outputs, `{"address":{"sensitive":false,"type":"string","value":"192.0.2.7"},"way":{"sensitive":false,"type":"string","value":"docker://box"},"number":{"sensitive":false,"type":"number","value":1}}`)
	if err := os.Mkdir(filepath.Join(dir, "infra"), 0o755); err != nil {
		t.Fatal(err)
	}
	all, err := ReadInventory(os.DirFS("testdata/tofu"))
	if err != nil {
		t.Fatal(err)
	}
	h := all[0]
	h.Folder = dir
	if made, err := Create(t.Context(), h); err != nil || !made {
		t.Fatal(made, err)
	}
	for output, want := range map[string]string{"address": "ssh://root@192.0.2.7", "way": "docker://box"} {
		h.Make.Tofu.Output = output
		if got, err := Locate(t.Context(), h); err != nil || got != want {
			t.Errorf("%s: %q %v, want %s", output, got, err, want)
		}
	}
	h.Make.Tofu.Output = "number"
	if _, err := Locate(t.Context(), h); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), `no output "number" that is a text`) {
		t.Errorf("got %v", err)
	}
	other := all[1]
	other.Folder = dir
	if got, err := Locate(t.Context(), other); err != nil || got != "ssh://ops@192.0.2.7:2222" {
		t.Errorf("%q %v", got, err)
	}
	if err := Destroy(t.Context(), h); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	at := "-chdir=" + filepath.Join(dir, "infra") + " "
	want := at + "init -input=false -no-color\n" +
		at + "apply -auto-approve -input=false -json -state=app.tfstate -var=name=app -var=sizes=[1,2]\n" +
		strings.Repeat(at+"output -json -state=app.tfstate\n", 3) + at + "output -json\n" +
		at + "init -input=false -no-color\n" +
		at + "destroy -auto-approve -input=false -json -state=app.tfstate -var=name=app -var=sizes=[1,2]\n"
	if string(b) != want {
		t.Errorf("it was called\n%swant\n%s", b, want)
	}
	h.Make.Tofu.Variables = map[string]string{"name": "broken"}
	if _, err := Create(t.Context(), h); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "make host app: tofu apply in infra: terraform_data.host: local-exec provisioner error: exit status 3. Output: no room") {
		t.Errorf("got %v", err)
	}
	put(outputs, "{}")
	if _, err := Locate(t.Context(), h); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "is not made yet") {
		t.Errorf("got %v", err)
	}
	h.Make.Tofu.Folder = "none"
	if _, err := Create(t.Context(), h); fault.Of(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Create(t.Context(), h); fault.Of(err) != fault.NotFound || !strings.Contains(err.Error(), "neither tofu nor terraform is installed") {
		t.Errorf("got %v", err)
	}
}

// TestTofuForReal: with the program itself, where there is one; what it makes is in it
// already, so that nothing is downloaded.
func TestTofuForReal(t *testing.T) {
	if _, err := tofu(); err != nil {
		t.Skip("neither tofu nor terraform is installed; TestTofu has a program that answers like them")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "infra"), 0o755); err != nil {
		t.Fatal(err)
	}
	text := `variable "name" {}
resource "terraform_data" "host" {
  input = var.name
  provisioner "local-exec" {
    command = "test ${var.name} != broken && touch ${var.name}"
  }
}
output "address" { value = "command:env HOST=${terraform_data.host.output}" }
`
	if err := os.WriteFile(filepath.Join(dir, "infra/main.tf"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	h := Host{Name: "real", Folder: dir, Entry: Entry{Make: &Make{Tofu: &Tofu{Folder: "infra", Variables: map[string]string{"name": "{}"}, Output: "address", State: "{}.tfstate"}}}}
	h.Address = h.Make.Tofu.address(h.Name)
	if _, err := Locate(t.Context(), h); fault.Of(err) != fault.Unavailable {
		t.Errorf("before it is made: %v", err)
	}
	for _, want := range []bool{true, false} {
		if made, err := Create(t.Context(), h); made != want || err != nil {
			t.Fatal(made, err)
		}
	}
	if got, err := Locate(t.Context(), h); err != nil || got != "command:env HOST=real" {
		t.Errorf("%q %v", got, err)
	}
	for _, name := range []string{"real", "real.tfstate"} {
		if _, err := os.Stat(filepath.Join(dir, "infra", name)); err != nil {
			t.Error(err)
		}
	}
	for range 2 {
		if err := Destroy(t.Context(), h); err != nil {
			t.Error(err)
		}
	}
	h.Name = "broken"
	if _, err := Create(t.Context(), h); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "local-exec provisioner error") {
		t.Errorf("got %v", err)
	}
}
