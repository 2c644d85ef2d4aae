"""Jobs as pictures."""
from .common import GenericPath
from .job import Job


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def visualize_job(job: Job, path: GenericPath) -> None:
    """Writes the dependencies in DOT, from each task to those that need it."""
    lines = ["digraph {"]
    for task in job.tasks:
        lines.append(f"    {task.task_id} [label={_quoted(task.label)}];")
    for task in job.tasks:
        for dependency in task.dependencies:
            lines.append(f"    {dependency.task_id} -> {task.task_id};")
    lines.append("}")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
