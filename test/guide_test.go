package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"steer/base/secret"
)

// What the guide shows as a steer.yaml or as a list of checks is one.
func TestGuideShowsWhatIsValid(t *testing.T) {
	pages, err := filepath.Glob("../docs/guide/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	keys, err := secret.Open(filepath.Join(t.TempDir(), "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := keys.Encrypt([]byte("hush"))
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		hosts := t.TempDir() // roles and hosts of a page belong together
		write(t, filepath.Join(hosts, "environments.yaml"), "")
		for _, name := range []string{"base", "web"} {
			write(t, filepath.Join(hosts, "roles", name+".yaml"), "description: d\nparameters: {port: {default: 80}}\n")
		}
		for _, block := range blocks.FindAllStringSubmatch(string(text), -1) {
			dir := t.TempDir()
			first, _, _ := strings.Cut(block[1], "\n")
			switch name := strings.TrimPrefix(first, "# "); {
			case name == "hosts.yaml", strings.HasPrefix(name, "roles/") && strings.HasSuffix(name, ".yaml"):
				if strings.HasSuffix(name, "/role.yaml") {
					os.Remove(filepath.Join(hosts, filepath.Dir(name)+".yaml"))
				}
				write(t, filepath.Join(hosts, name), block[1])
				dir = hosts
			case strings.HasPrefix(block[1], "service:"):
				write(t, filepath.Join(dir, "steer.yaml"), block[1])
			case strings.HasPrefix(block[1], "- name:"):
				write(t, filepath.Join(dir, "checks", "shown.yaml"), block[1])
				write(t, filepath.Join(dir, "environments.yaml"), "")
			case strings.HasPrefix(block[1], "# storage.yaml:"), strings.HasPrefix(block[1], "# aggregation.yaml:"):
				name, _, _ := strings.Cut(strings.TrimPrefix(block[1], "# "), ":")
				write(t, filepath.Join(dir, name), block[1])
				write(t, filepath.Join(dir, "environments.yaml"), "")
			case strings.HasPrefix(block[1], "# dashboards/"):
				write(t, filepath.Join(dir, "dashboards", "shown.yaml"), block[1])
				write(t, filepath.Join(dir, "environments.yaml"), "")
			case strings.HasPrefix(block[1], "production:"):
				write(t, filepath.Join(dir, "environments.yaml"), block[1])
				write(t, filepath.Join(dir, "secrets", "production", "database.age"), string(hidden))
			default:
				continue
			}
			shown++
			if out, err := exec.Command(program(t, "steer"), "validate", dir).CombinedOutput(); err != nil {
				t.Errorf("%s shows what is not valid: %s\n%s", page, out, block[1])
			}
		}
	}
	if shown < 6 {
		t.Errorf("only %d examples were found in the guide", shown)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
