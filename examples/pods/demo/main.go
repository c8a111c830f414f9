// Command demo is the program in the example pods' image: each of its
// subcommands plays one container.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/term"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	commands := map[string]struct {
		args int
		run  func(context.Context, []string) error
	}{
		"prepare": {2, prepare}, "serve": {2, serve}, "health": {1, serveHealth},
		"work": {1, work}, "check": {1, check}, "touch": {1, touch}, "say": {1, say}, "exit": {0, exit},
		"eat": {0, eat}, "cat": {0, cat}, "size": {0, size}, "status": {1, status}, "end": {0, end},
		"crash": {0, func(context.Context, []string) error { return fmt.Errorf("crashed as told") }},
	}
	if len(args) == 0 {
		return fmt.Errorf("usage: demo prepare|serve|health|work|check|touch|say|cat|size|eat|exit|status|end|crash ARGS")
	}
	c, ok := commands[args[0]]
	if !ok || len(args)-1 != c.args {
		return fmt.Errorf("%q: unknown command or wrong number of arguments", args)
	}
	return c.run(ctx, args[1:])
}

func exit(context.Context, []string) error { return nil }

// eat takes memory, a MiB at a time, until it is killed for it.
func eat(ctx context.Context, _ []string) error {
	var all [][]byte
	for ctx.Err() == nil {
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = 1
		}
		all = append(all, b)
	}
	return fmt.Errorf("still alive with %d MiB", len(all))
}

// cat copies its input until that ends.
func cat(context.Context, []string) error {
	_, err := io.Copy(os.Stdout, os.Stdin)
	return err
}

// size prints the size of its terminal, and each new one.
func size(ctx context.Context, _ []string) error {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, resized...)
	for {
		w, h, err := term.GetSize(0)
		if err != nil {
			return err
		}
		fmt.Printf("%dx%d\n", w, h)
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// status ends with that status.
func status(_ context.Context, args []string) error {
	n, err := strconv.Atoi(args[0])
	if err == nil {
		os.Exit(n)
	}
	return err
}

// end asks the container's first process to end.
func end(context.Context, []string) error {
	first, err := os.FindProcess(1)
	if err != nil {
		return err
	}
	return first.Signal(syscall.SIGTERM)
}

func say(_ context.Context, args []string) error {
	_, err := fmt.Println(args[0])
	return err
}

// prepare copies a page to the shared volume: init containers fill in what the
// others serve.
func prepare(_ context.Context, args []string) error {
	page, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	fmt.Printf("prepared %s (%d bytes)\n", args[1], len(page))
	return os.WriteFile(args[1], page, 0o644)
}

func touch(_ context.Context, args []string) error {
	return os.WriteFile(args[0], []byte(time.Now().Format(time.RFC3339Nano)), 0o644)
}

// check fails when the heartbeat is older than five seconds.
func check(_ context.Context, args []string) error {
	fi, err := os.Stat(args[0])
	if err != nil {
		return err
	}
	if age := time.Since(fi.ModTime()); age > 5*time.Second {
		return fmt.Errorf("%s is %v old", args[0], age.Round(time.Second))
	}
	return nil
}

func work(ctx context.Context, args []string) error {
	for {
		if err := touch(ctx, args); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			fmt.Println("worker stops")
			return nil
		case <-time.After(time.Second):
		}
	}
}

func serve(ctx context.Context, args []string) error {
	addr, dir := args[0], args[1]
	mux := http.NewServeMux()
	ok := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }
	mux.HandleFunc("/healthz", ok)
	mux.HandleFunc("/drain", ok)
	mux.HandleFunc("/ready", func(w http.ResponseWriter, r *http.Request) {
		if _, err := os.Stat(filepath.Join(dir, "index.html")); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		ok(w, r)
	})
	mux.Handle("/", http.FileServer(http.Dir(dir)))
	srv := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	fmt.Printf("%s: serving %s on %s\n", os.Getenv("BANNER"), dir, addr)
	done := make(chan error, 1)
	go func() { done <- srv.ListenAndServe() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	fmt.Println("web stops")
	stopping, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return srv.Shutdown(stopping)
}

func serveHealth(ctx context.Context, args []string) error {
	l, err := net.Listen("tcp", args[0]) //nolint:noctx // nothing to cancel
	if err != nil {
		return err
	}
	srv := grpc.NewServer()
	healthpb.RegisterHealthServer(srv, health.NewServer())
	fmt.Println("health serves on", l.Addr())
	stop := context.AfterFunc(ctx, srv.GracefulStop)
	defer stop()
	return srv.Serve(l)
}
