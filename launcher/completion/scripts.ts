export const shells = ['bash', 'zsh', 'fish'] as const;

export type Shell = (typeof shells)[number];

/** A line that says that files may stand there, too. */
export const filesToo = ':files';

const bash = `# Completion of pod-dist for bash: source <(pod-dist completion bash)
_pod_dist() {
  local line files= current="\${COMP_WORDS[COMP_CWORD]}"
  [[ $current == = ]] && current=
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == ${filesToo} ]]; then files=1; else COMPREPLY+=("$line"); fi
  done < <("\${COMP_WORDS[0]}" complete bash "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  if [[ $files ]]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$current")
  elif [[ \${#COMPREPLY[@]} -gt 0 && \${COMPREPLY[0]} == *= ]]; then
    compopt -o nospace 2>/dev/null
  fi
}
complete -F _pod_dist pod-dist
`;

const zsh = `#compdef pod-dist
# Completion of pod-dist for zsh: source <(pod-dist completion zsh), after compinit
_pod_dist() {
  local line value files=
  local -a ready open
  while IFS= read -r line; do
    value=\${\${line%%$'\\t'*}//:/\\\\:}
    case $value in
      *files) [[ $line == ${filesToo} ]] && files=1 || ready+=("$value:\${line#*$'\\t'}") ;;
      *=) open+=("$value:\${line#*$'\\t'}") ;;
      *) ready+=("$value:\${line#*$'\\t'}") ;;
    esac
  done < <("\${words[1]}" complete zsh "\${(@)words[2,CURRENT]}" 2>/dev/null)
  compset -P '*='
  (( $#ready )) && _describe 'pod-dist' ready
  (( $#open )) && _describe 'pod-dist' open -S ''
  [[ -n $files ]] && _files
}
compdef _pod_dist pod-dist
`;

const fish = `# Completion of pod-dist for fish: pod-dist completion fish > ~/.config/fish/completions/pod-dist.fish
function __pod_dist_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] complete fish $words[2..-1] "$current" 2>/dev/null)
        if test "$line" = ${filesToo}
            __fish_complete_path "$current"
        else
            printf '%s\\n' $line
        end
    end
end
complete -c pod-dist -f -a '(__pod_dist_complete)'
`;

/** What a shell reads to complete pod-dist: it asks `pod-dist complete SHELL WORDS` at each key. */
export function scriptOf(shell: Shell): string {
  return { bash, zsh, fish }[shell];
}
