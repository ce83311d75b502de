// Package objectstest gives tests a real S3 server of their own on the loopback interface.
package objectstest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/s3blob" // s3://
)

const (
	bucket    = "annexfs-test"
	startTime = 30 * time.Second
)

// S3 starts a versitygw server with an empty bucket, stops it when the test ends, and returns the bucket's URL and the
// environment that the programs which use it need. It sets that environment for this process too, so the test cannot
// be parallel.
//
// The server is the program that ANNEXFS_VERSITYGW names, or versitygw in PATH or in .tools/bin of the repository.
// Without one the test fails, unless ANNEXFS_TEST_NO_S3=1 leaves it out.
func S3(t testing.TB) (url string, env []string) {
	t.Helper()
	if os.Getenv("ANNEXFS_TEST_NO_S3") == "1" {
		fmt.Fprintf(os.Stderr, "NOT RUN HERE: %s needs an S3 server and ANNEXFS_TEST_NO_S3=1 is set\n", t.Name())
		t.Skip("NOT RUN HERE: ANNEXFS_TEST_NO_S3=1 is set")
	}
	program, err := find()
	if err != nil {
		t.Fatal(err)
	}
	access, secret := "annexfs-test", rand.Text()
	settings := map[string]string{
		"AWS_ACCESS_KEY_ID":           access,
		"AWS_SECRET_ACCESS_KEY":       secret,
		"AWS_SESSION_TOKEN":           "",
		"AWS_PROFILE":                 "",
		"AWS_REGION":                  "us-east-1",
		"AWS_CONFIG_FILE":             os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_EC2_METADATA_DISABLED":   "true",
	}
	for name, value := range settings {
		t.Setenv(name, value)
		env = append(env, name+"="+value)
	}
	address := start(t, program, "ROOT_ACCESS_KEY="+access, "ROOT_SECRET_KEY="+secret)
	url = fmt.Sprintf("s3://%s?endpoint=http://%s&region=us-east-1&use_path_style=true", bucket, address)
	if err := makeBucket(t.Context(), url); err != nil {
		t.Fatalf("make bucket: %v", err)
	}
	return url, env
}

func find() (string, error) {
	if program := os.Getenv("ANNEXFS_VERSITYGW"); program != "" {
		return exec.LookPath(program)
	}
	if program, err := exec.LookPath("versitygw"); err == nil {
		return program, nil
	}
	dir, err := os.Getwd()
	for err == nil {
		program := filepath.Join(dir, ".tools", "bin", "versitygw")
		if _, err := os.Stat(program); err == nil {
			return program, nil
		}
		if filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	return "", errors.New("versitygw, the S3 server of the tests, is not here: `make tools` gets it; " +
		"or set ANNEXFS_VERSITYGW to the program, or ANNEXFS_TEST_NO_S3=1 to leave these tests out")
}

// start runs the server on a free port. The port is found before the server has it, so another program can be faster.
func start(t testing.TB, program string, env ...string) (address string) {
	t.Helper()
	var err error
	for range 5 {
		if address, err = freeAddress(t.Context()); err != nil {
			break
		}
		if err = run(t, program, address, env); err == nil {
			return address
		}
	}
	t.Fatalf("start %s: %v", program, err)
	return ""
}

func run(t testing.TB, program, address string, env []string) error {
	dir := t.TempDir()
	data, sidecar, iam := filepath.Join(dir, "data"), filepath.Join(dir, "sidecar"), filepath.Join(dir, "iam")
	for _, d := range []string{data, sidecar, iam} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return err
		}
	}
	// The path is ours alone, so that no other server is taken for this one.
	health := "/health-" + rand.Text()
	// Metadata go beside the data, since not every file system of a test machine has user attributes.
	// Without O_TMPFILE it replaces objects by rename; with it, it unlinks the old one first and readers miss it.
	// Other cleanups may still need the server, so it outlives the test's context.
	ctx := context.WithoutCancel(t.Context())
	cmd := exec.CommandContext(ctx, program, "--port", address, "--health", health, "--quiet", "--iam-dir", iam,
		"posix", "--sidecar", sidecar, "--disableotmp", data)
	cmd.Env = append(env, "HOME="+dir, "TMPDIR="+dir)
	cmd.Dir = dir
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its output says more
		close(ended)
	}()
	stop := func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	if err := waitHealthy(ctx, "http://"+address+health, ended); err != nil {
		stop()
		return fmt.Errorf("%w\n%s", err, output.String())
	}
	t.Cleanup(stop)
	return nil
}

// waitHealthy polls until the server answers or ends.
func waitHealthy(ctx context.Context, url string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return errors.New("the server ended")
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer within %v", startTime)
		case <-tick.C:
		}
		if healthy(ctx, url) {
			return nil
		}
	}
}

func healthy(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func makeBucket(ctx context.Context, url string) error {
	b, err := blob.OpenBucket(ctx, url)
	if err != nil {
		return err
	}
	defer b.Close()
	var client *s3.Client
	if !b.As(&client) {
		return fmt.Errorf("%s is not S3", strings.SplitN(url, ":", 2)[0])
	}
	_, err = client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)})
	return err
}
