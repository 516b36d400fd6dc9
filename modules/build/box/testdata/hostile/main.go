// Command hostile does what a box has to stand.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	switch os.Args[1] {
	case "show":
		status, err := os.ReadFile("/proc/self/status")
		fmt.Println(err)
		for line := range strings.Lines(string(status)) {
			if name, value, _ := strings.Cut(line, ":"); strings.HasPrefix(name, "Cap") || name == "NoNewPrivs" || name == "Uid" || name == "Groups" {
				fmt.Println(name, strings.Join(strings.Fields(value), " "))
			}
		}
	case "attack":
		for name, attempt := range map[string]func() error{
			"kill the box":     func() error { return syscall.Kill(1, syscall.SIGKILL) },
			"stop the box":     func() error { return syscall.Kill(1, syscall.SIGSTOP) },
			"read its memory":  func() error { _, err := os.Open("/proc/1/mem"); return err },
			"read its environ": func() error { _, err := os.ReadFile("/proc/1/environ"); return err },
			"trace it":         func() error { return syscall.PtraceAttach(1) },
			"become root":      func() error { return syscall.Setuid(0) },
			"become another":   func() error { return syscall.Setuid(12345) },
			"mount":            func() error { return syscall.Mount("tmpfs", "/mnt", "tmpfs", 0, "") },
			"chown":            func() error { return os.Chown(os.Args[2], 7, 7) },
			"write there":      func() error { return os.WriteFile(os.Args[2], nil, 0o644) },
			"dial":             func() error { _, err := net.Dial("tcp", os.Args[3]); return err },
		} {
			err := attempt()
			fmt.Printf("%s: %v\n", name, err == nil)
		}
		// A stopped box would not notice this.
		time.Sleep(200 * time.Millisecond)
		fmt.Println("still here")
	case "get":
		response, err := http.Get(os.Getenv("npm_config_registry") + os.Args[2])
		if err != nil {
			fmt.Println(err)
			return
		}
		content, err := io.ReadAll(response.Body)
		fmt.Println(response.Status, string(content), err)
		if response.StatusCode != http.StatusOK {
			os.Exit(1)
		}
	case "network":
		ask := func(address string) string {
			response, err := http.Get(address)
			if err != nil {
				return err.Error()
			}
			response.Body.Close()
			return response.Status
		}
		// Go asks no proxy for 127.0.0.1.
		proxy, _ := url.Parse(os.Getenv("http_proxy"))
		http.DefaultTransport.(*http.Transport).Proxy = http.ProxyURL(proxy)
		named, other := os.Args[2], os.Args[3]
		fmt.Println("through the proxy:", ask(named))
		fmt.Println("the other one:", ask(other))
		dial := func(address string) bool {
			_, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
			return err == nil
		}
		fmt.Println("by hand:", dial(named))
		fmt.Println("the other one by hand:", dial(other))
		// With all capabilities in namespaces of its own, it has no more network.
		inside := exec.Command(os.Args[0], "dial", strings.TrimPrefix(other, "http://"))
		inside.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
		fmt.Println("in a user's namespaces:", inside.Run() == nil)
		fmt.Println("the first one's network:", enter() == nil)
		_, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_ICMP)
		fmt.Println("a raw socket:", err == nil)
		found := 0
		interfaces, _ := net.Interfaces()
		for _, i := range interfaces {
			if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
				found++
			}
		}
		fmt.Println("an interface:", found)
	case "dial":
		enterErr := enter()
		if _, err := net.Dial("tcp", os.Args[2]); err != nil && enterErr != nil {
			os.Exit(1)
		}
	case "bomb":
		for {
			_ = exec.Command(os.Args[0], "bomb").Start()
		}
	case "threads":
		for {
			go func() { syscall.Pause() }()
		}
	case "eat":
		var all [][]byte
		for {
			b := make([]byte, 16<<20)
			for i := range b {
				b[i] = 1
			}
			all = append(all, b)
			_ = all
		}
	case "print":
		for {
			fmt.Println(strings.Repeat("x", 1<<10))
		}
	case "fill":
		for n := 0; ; n++ {
			file, err := os.Create(fmt.Sprint(os.Args[2], "/", n))
			if err != nil {
				continue
			}
			_, _ = file.Write(make([]byte, 1<<20))
			file.Close()
		}
	case "one-file":
		file, err := os.Create(os.Args[2] + "/one")
		if err != nil {
			panic(err)
		}
		for {
			_, _ = file.Write(make([]byte, 1<<20))
		}
	case "sleep":
		time.Sleep(time.Hour)
	case "daemon":
		cmd := exec.Command(os.Args[0], "sleep")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		fmt.Println(cmd.Start())
	case "exit":
		fmt.Print("to stdout")
		fmt.Fprint(os.Stderr, "to stderr")
		os.Exit(7)
	case "commands":
		fmt.Print("::error::owned\n ##vso[task.setvariable variable=x]y\n\x1b[2Kpassed\r\nslipway-box: limit: time: faked\n" + strings.Repeat("y", 1<<17) + "\n::set-output name=a::b")
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "cat":
		_, _ = io.Copy(os.Stdout, os.Stdin)
	}
}

// enter takes this thread into the network of the first process.
func enter() error {
	file, err := os.Open("/proc/1/ns/net")
	if err != nil {
		return err
	}
	defer file.Close()
	runtime.LockOSThread()
	const setns = 308 // on amd64
	if _, _, errno := syscall.RawSyscall(setns, file.Fd(), syscall.CLONE_NEWNET, 0); errno != 0 {
		return errno
	}
	return nil
}
