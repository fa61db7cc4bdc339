# shellcheck shell=bash
# Sourced by leader and worker. One key pair, from a Secret, is every pod's host key and every user's.
FATHOM_SSH=${FATHOM_SSH:-/run/fathom}
FATHOM_SSH_KEY=${FATHOM_SSH_KEY:-/etc/fathom/ssh/key}
FATHOM_SSH_PORT=${FATHOM_SSH_PORT:-2222}

write_ssh_files() {
  mkdir -p "$FATHOM_SSH"
  # A copy, for ssh refuses a key that others may read, as files of a Secret are. Its public half
  # comes from it.
  (umask 077 && cat "$FATHOM_SSH_KEY" >"$FATHOM_SSH/key") || return 1
  ssh-keygen -y -f "$FATHOM_SSH/key" >"$FATHOM_SSH/key.pub" || return 1
  # Hosts prove that they have the key too: nobody else can stand in for one.
  echo "* $(<"$FATHOM_SSH/key.pub")" >"$FATHOM_SSH/known_hosts"
  cat >"$FATHOM_SSH/config" <<END
Host *
  Port $FATHOM_SSH_PORT
  IdentityFile $FATHOM_SSH/key
  IdentitiesOnly yes
  UserKnownHostsFile $FATHOM_SSH/known_hosts
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 5
  ServerAliveInterval 5
  ServerAliveCountMax 3
  LogLevel ERROR
END
  cat >"$FATHOM_SSH/sshd_config" <<END
Port $FATHOM_SSH_PORT
HostKey $FATHOM_SSH/key
AuthorizedKeysFile $FATHOM_SSH/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding no
X11Forwarding no
MaxStartups 100
END
}
