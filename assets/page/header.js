element.querySelector(".preset").textContent = props.value.preset;
element.querySelector(".about").textContent = props.value.about;
element.querySelector(".scheme").addEventListener("click", () => document.body.classList.toggle("dark"));
