//! Processes started in running containers.

use crate::go::document;

document! {
    /// What to start.
    pub struct CreateRequest {
        pub user: String => "User";
        pub privileged: bool => "Privileged";
        pub tty: bool => "Tty";
        /// Height and width of the terminal.
        pub console_size: Option<[u32; 2]> => "ConsoleSize" @omitempty;
        pub attach_stdin: bool => "AttachStdin";
        pub attach_stderr: bool => "AttachStderr";
        pub attach_stdout: bool => "AttachStdout";
        pub detach_keys: String => "DetachKeys";
        pub env: Option<Vec<String>> => "Env";
        pub working_dir: String => "WorkingDir";
        pub cmd: Option<Vec<String>> => "Cmd" via StrSlice;
    }
}

document! {
    /// How to start it.
    pub struct StartRequest {
        /// Do not wait and give no stream.
        pub detach: bool => "Detach";
        pub tty: bool => "Tty";
        /// Height and width of the terminal.
        pub console_size: Option<[u32; 2]> => "ConsoleSize" @omitempty;
    }
}

document! {
    /// A process that was made, and where it stands.
    pub struct Inspect {
        pub id: String => "ID";
        pub running: bool => "Running";
        /// `None` until it has ended.
        pub exit_code: Option<i32> => "ExitCode";
        pub process_config: ProcessConfig => "ProcessConfig";
        pub open_stdin: bool => "OpenStdin";
        pub open_stderr: bool => "OpenStderr";
        pub open_stdout: bool => "OpenStdout";
        pub can_remove: bool => "CanRemove";
        pub container_id: String => "ContainerID";
        /// dockerd prints the bytes of the keys; a text for us, empty by default.
        pub detach_keys: String => "DetachKeys";
        pub pid: u32 => "Pid";
    }
}

document! {
    /// The command of a process.
    pub struct ProcessConfig {
        pub tty: bool => "tty";
        pub entrypoint: String => "entrypoint";
        pub arguments: Vec<String> => "arguments";
        pub privileged: Option<bool> => "privileged" @omitempty;
        pub user: String => "user" @omitempty;
    }
}
